// Opens a channel to the endpoint for each policy and mode in the list, all at
// once, and asks for the endpoints again and again while the tokens are renewed, which
// last half of the seconds.
const { OPCUAClient, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy } = require("node-opcua");
const fs = require("fs");
const [url, certificate, folder, seconds, list] = process.argv.slice(2);

async function one(clientCertificateManager, policy, mode) {
  const client = OPCUAClient.create({
    clientCertificateManager,
    applicationName: "peer",
    securityMode: MessageSecurityMode[mode],
    securityPolicy: SecurityPolicy[policy],
    serverCertificate: mode === "None" ? undefined : fs.readFileSync(certificate),
    endpointMustExist: false,
    defaultSecureTokenLifetime: 500 * Number(seconds),
    connectionStrategy: { maxRetry: 0 },
  });
  let renewals = 0;
  client.on("security_token_renewed", () => renewals++);
  await client.connect(url);
  const end = Date.now() + 1000 * Number(seconds);
  let answers = 0;
  do {
    const endpoints = await client.getEndpoints();
    if (endpoints.length !== 1) throw new Error("got " + endpoints.length + " endpoints");
    answers++;
    await new Promise((r) => setTimeout(r, 50));
  } while (Date.now() < end);
  await client.disconnect();
  return { answers, renewals };
}

(async () => {
  const manager = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  await manager.initialize();
  const results = {};
  await Promise.all(list.split(",").map(async (s) => {
    const [policy, mode] = s.split("/");
    results[s] = await one(manager, policy, mode).catch((e) => ({ error: e.message }));
  }));
  console.log(JSON.stringify(results));
  process.exit(0);
})().catch((e) => { console.error(e.message); process.exit(1); });
