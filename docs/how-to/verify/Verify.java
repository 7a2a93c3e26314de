// Verify a webhook (Standard Webhooks 1.0). Java 11 or newer, standard library only.
import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {
    static final long TOLERANCE_SECONDS = 300;

    /** Say whether the body, exactly as received, was signed with the secret. */
    static boolean verify(String secret, String id, String timestamp, String signatures,
                          byte[] body, long now) throws GeneralSecurityException {
        if (!timestamp.matches("[0-9]{1,12}")) return false;
        if (Math.abs(now - Long.parseLong(timestamp)) > TOLERANCE_SECONDS) return false;
        byte[] key = Base64.getDecoder().decode(secret.replaceFirst("^whsec_", ""));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(UTF_8));
        String right = "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        for (String entry : signatures.split(" ")) { // several while a secret is rotated
            if (MessageDigest.isEqual(entry.getBytes(UTF_8), right.getBytes(UTF_8))) return true;
        }
        return false;
    }

    // java Verify.java ID TIMESTAMP SIGNATURES [NOW] < body
    public static void main(String[] args) throws Exception {
        long now = args.length > 3 ? Long.parseLong(args[3]) : Instant.now().getEpochSecond();
        String secret = System.getenv("WEBHOOK_SECRET");
        byte[] body = System.in.readAllBytes();
        if (!verify(secret, args[0], args[1], args[2], body, now)) {
            throw new SecurityException("not verified");
        }
    }
}
