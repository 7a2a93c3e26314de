// Says which secrets verify a request, by libraries that others wrote.
// Reads {"body", "headers", "secrets": {name: secret}} from standard input, prints
// {library: {name: true or false}}.

import { readFileSync } from "node:fs";
import { verify } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const { body, headers, secrets } = JSON.parse(readFileSync(0, "utf8"));
const stripe = new Stripe("sk_test_no_request_is_made_with_this");

function isAccepted(check) {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

const judges = {
  standardwebhooks: (secret) =>
    isAccepted(() => new Webhook(secret).verify(body, headers)),
  "@octokit/webhooks-methods": (secret) =>
    verify(secret, body, headers["x-hub-signature-256"]),
  stripe: (secret) =>
    isAccepted(() =>
      stripe.webhooks.constructEvent(body, headers["stripe-signature"], secret),
    ),
};

const verdicts = {};
for (const [library, judge] of Object.entries(judges)) {
  verdicts[library] = {};
  for (const [name, secret] of Object.entries(secrets)) {
    verdicts[library][name] = await judge(secret);
  }
}
console.log(JSON.stringify(verdicts));
