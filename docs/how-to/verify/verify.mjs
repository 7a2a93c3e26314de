// Verify a webhook (Standard Webhooks 1.0). Node 18 or newer, standard library only.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { argv, env } from "node:process";
import { pathToFileURL } from "node:url";

const TOLERANCE_SECONDS = 300;

/** Say whether `body` (a Buffer, exactly as received) was signed with `secret`. */
export function verify(secret, id, timestamp, signatures, body, now = Date.now() / 1000) {
  if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
  if (Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const hmac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
  const right = Buffer.from("v1," + hmac.digest("base64"));
  return signatures.split(" ").some((entry) => { // several while a secret is rotated
    const given = Buffer.from(entry);
    return given.length === right.length && timingSafeEqual(given, right);
  });
}

// node verify.mjs ID TIMESTAMP SIGNATURES [NOW] < body
if (import.meta.url === pathToFileURL(argv[1]).href) {
  const [id, timestamp, signatures, now] = argv.slice(2);
  const clock = now === undefined ? undefined : Number(now);
  const isRight = verify(env.WEBHOOK_SECRET, id, timestamp, signatures, readFileSync(0), clock);
  if (!isRight) throw new Error("not verified");
}
