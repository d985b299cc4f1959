// A plant's server: user "ot" with password "secret", or a user certificate; 3 000
// variables that it can be told to change, a structure, an event source, small limits.
// Accepts any application certificate. Prints its port, and does what each line of its
// input says. Ends when its input does.
const o = require("node-opcua");
const [folder, port] = process.argv.slice(2);

(async () => {
  const manager = (name) => new o.OPCUACertificateManager({ rootFolder: folder + "/" + name, automaticallyAcceptUnknownCertificate: true });
  const serverCertificateManager = manager("pki"), userCertificateManager = manager("users");
  await serverCertificateManager.initialize();
  await userCertificateManager.initialize();
  const server = new o.OPCUAServer({
    port: Number(port || 0),
    hostname: "127.0.0.1",
    alternateHostname: ["127.0.0.1"],
    serverCertificateManager,
    userCertificateManager,
    nodeset_filename: [o.nodesets.standard],
    userManager: { isValidUser: (name, password) => name === "ot" && password === "secret" },
    serverInfo: { applicationUri: "urn:plant:server", productUri: "urn:plant:product" },
    buildInfo: { productName: "plant", softwareVersion: "1.2.3", manufacturerName: "us" },
    securityPolicies: [o.SecurityPolicy.None, o.SecurityPolicy.Basic256Sha256, o.SecurityPolicy.Aes128_Sha256_RsaOaep, o.SecurityPolicy.Aes256_Sha256_RsaPss],
    securityModes: [o.MessageSecurityMode.None, o.MessageSecurityMode.Sign, o.MessageSecurityMode.SignAndEncrypt],
    serverCapabilities: {
      maxBrowseContinuationPoints: 2,
      operationLimits: { maxNodesPerRead: 100, maxNodesPerBrowse: 50, maxMonitoredItemsPerCall: 100 },
    },
  });
  await server.initialize();
  const space = server.engine.addressSpace, own = space.getOwnNamespace();
  space.installAlarmsAndConditionsService();
  const plant = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Plant", nodeId: "s=Plant", eventNotifier: 1 });
  const tags = [];
  for (let i = 0; i < 3000; i++)
    tags.push(own.addVariable({ componentOf: plant, browseName: "T" + i, nodeId: "i=" + (10000 + i), dataType: "Double", value: { dataType: "Double", value: i } }));
  const structure = own.addVariable({
    componentOf: plant, browseName: "Structure", nodeId: "s=Structure", dataType: "Argument",
    value: { dataType: "ExtensionObject", value: new o.Argument({ name: "a", dataType: o.DataType.Double, valueRank: -1 }) },
  });
  await server.start();
  console.log(JSON.stringify({ port: server.endpoints[0].port }));
  let n = 0;
  const commands = {
    change: () => { n++; tags.forEach((t, i) => t.setValueFromSource({ dataType: "Double", value: n * 10000 + i })); },
    event: () => plant.raiseEvent("BaseEventType", { message: { dataType: "LocalizedText", value: { text: "hot" } }, severity: { dataType: "UInt16", value: 700 } }),
    shutdown: () => server.shutdown(3000).then(() => process.exit(0)),
    die: () => process.kill(process.pid, "SIGKILL"),
  };
  require("readline").createInterface({ input: process.stdin }).on("line", (l) => commands[l] && commands[l]()).on("close", () => process.exit(0));
})().catch((e) => { console.error(e.message); process.exit(1); });
