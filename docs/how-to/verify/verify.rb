# Verify a webhook (Standard Webhooks 1.0). Ruby 3.0 or newer, standard library only.
require "openssl"

TOLERANCE_SECONDS = 300

# Say whether `body`, exactly as received, was signed with `secret`.
def verify(secret, id, timestamp, signatures, body, now = Time.now.to_i)
  return false unless timestamp.match?(/\A[0-9]{1,12}\z/)
  return false if (now - timestamp.to_i).abs > TOLERANCE_SECONDS

  key = secret.delete_prefix("whsec_").unpack1("m0")
  digest = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
  right = "v1," + [digest].pack("m0")
  signatures.split(" ").any? do |entry| # several while a secret is rotated
    entry.bytesize == right.bytesize && OpenSSL.fixed_length_secure_compare(entry, right)
  end
end

# ruby verify.rb ID TIMESTAMP SIGNATURES [NOW] < body
if __FILE__ == $PROGRAM_NAME
  id, timestamp, signatures, now = ARGV
  clock = now ? now.to_i : Time.now.to_i
  body = $stdin.binmode.read
  abort "not verified" unless verify(ENV["WEBHOOK_SECRET"], id, timestamp, signatures, body, clock)
end
