// Serves every policy on a free port, accepts any certificate, and prints its port
// and its certificate. Ends when its input does.
const { OPCUAServer, OPCUACertificateManager, SecurityPolicy, MessageSecurityMode, nodesets } = require("node-opcua");
const [folder] = process.argv.slice(2);

(async () => {
  const serverCertificateManager = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: true });
  await serverCertificateManager.initialize();
  const server = new OPCUAServer({
    port: 0,
    hostname: "127.0.0.1",
    serverCertificateManager,
    nodeset_filename: [nodesets.standard],
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes128_Sha256_RsaOaep, SecurityPolicy.Aes256_Sha256_RsaPss],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
  });
  await server.initialize();
  await server.start();
  console.log(JSON.stringify({ port: server.endpoints[0].port, certificate: server.getCertificate().toString("base64") }));
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
})().catch((e) => { console.error(e.message); process.exit(1); });
