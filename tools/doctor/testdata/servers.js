// Four OPC UA servers of node-opcua in one process, each with one thing that keeps a client
// out. Prints their ports and certificates; ends when its input does.
const { OPCUAServer, OPCUADiscoveryServer, OPCUACertificateManager, SecurityPolicy, MessageSecurityMode, nodesets } = require("node-opcua");
const path = require("path");
const [folder] = process.argv.slice(2);
const hour = 3600e3;

const kinds = {
  open: { users: true, accept: true }, // anyone whose user it knows, by its address alone
  strict: { accept: false },           // trusts no client
  future: { accept: true, start: 72 }, // its certificate is not valid yet
  renamed: { accept: true, uri: "urn:another:name" },
};

async function start(name, kind) {
  const serverCertificateManager = new OPCUACertificateManager({ rootFolder: path.join(folder, name), automaticallyAcceptUnknownCertificate: kind.accept });
  await serverCertificateManager.initialize();
  const certificateFile = path.join(folder, name + ".pem");
  await serverCertificateManager.createSelfSignedCertificate({
    applicationUri: kind.uri || "urn:test:" + name, dns: [], ip: ["127.0.0.1"], outputFile: certificateFile, subject: "/CN=" + name,
    startDate: new Date(Date.now() + (kind.start || -1) * hour), validity: 30,
  });
  const options = {
    port: Number(process.argv[3 + Object.keys(kinds).indexOf(name)]), hostname: "127.0.0.1", serverCertificateManager, certificateFile, privateKeyFile: serverCertificateManager.privateKey,
    serverInfo: { applicationUri: "urn:test:" + name, productUri: "urn:test" },
    // node-opcua's discovery servers answer GetEndpoints only where they have an endpoint without security.
    securityPolicies: [SecurityPolicy.Basic256Sha256].concat(kind.users ? [] : [SecurityPolicy.None]),
    securityModes: [MessageSecurityMode.SignAndEncrypt].concat(kind.users ? [] : [MessageSecurityMode.None]),
    disableDiscovery: false, nodeset_filename: [nodesets.standard], allowAnonymous: false,
    userManager: { isValidUser: (user, password) => user === "joe" && password === "secret" },
  };
  const server = kind.users ? new OPCUAServer(options) : new OPCUADiscoveryServer(options);
  if (kind.users) await server.initialize();
  await server.start();
  return { port: options.port, certificate: server.getCertificate().toString("base64") };
}

(async () => {
  const all = {};
  for (const [name, kind] of Object.entries(kinds)) all[name] = await start(name, kind);
  console.log(JSON.stringify(all));
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
})().catch((e) => { console.error(e); process.exit(1); });
