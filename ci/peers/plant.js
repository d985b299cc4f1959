// plant.js: a plant's OPC UA server for the tests, on node-opcua.
//
//   node plant.js '{"port":4840,"tags":1000,...}'
//
// It prints {"ready":URL} and then obeys commands, one JSON object a line on standard
// input, each answered by one line: {"do":"add","name":"x"}, "remove", "set", "alarm",
// "event", "tick", "stop".
"use strict";
const fs = require("fs"), os = require("os"), path = require("path"), readline = require("readline");
const {
  OPCUAServer, OPCUACertificateManager, Variant, VariantArrayType, DataType, MessageSecurityMode, SecurityPolicy, StatusCodes, nodesets, resolveNodeId,
  coerceLocalizedText, NodeId, EventNotifierFlags, AggregateFunction, addAggregateSupport, installAggregateConfigurationOptions,
} = require("node-opcua");

const options = Object.assign({ port: 0, tags: 100, nodesets: false, period: 1000, perTick: 0, historical: 0, namespaces: [], limits: {} }, JSON.parse(process.argv[2] || "{}"));
options.certificate = Object.assign({ ago: 1, dns: ["localhost"], ip: ["127.0.0.1"] }, options.certificate);
const say = (o) => process.stdout.write(JSON.stringify(o) + "\n");

// hard are values that a gateway may stumble over, as far as node-opcua can make them.
const hard = [
  ["NaN", DataType.Double, NaN], ["Infinity", DataType.Double, -Infinity], ["MinusZero", DataType.Double, -0],
  ["Year1601", DataType.DateTime, new Date(Date.UTC(1601, 0, 1, 0, 0, 1))], ["Year9999", DataType.DateTime, new Date(Date.UTC(9999, 11, 31, 23, 59, 59))],
  ["EmptyString", DataType.String, ""], ["NullString", DataType.String, null], ["LongString", DataType.String, "ä".repeat(20000)],
  ["EmptyBytes", DataType.ByteString, Buffer.alloc(0)], ["NullBytes", DataType.ByteString, null], ["Xml", DataType.XmlElement, "<a>1</a>"],
  ["Guid", DataType.Guid, "72962B91-FA75-4AE6-8D28-B404DC7DAF63"], ["Text", DataType.LocalizedText, coerceLocalizedText({ locale: "de", text: "Presse" })],
  ["Int64", DataType.Int64, [0x80000000, 1]], ["NodeId", DataType.NodeId, resolveNodeId("ns=1;s=Plant")], ["Status", DataType.StatusCode, StatusCodes.BadShutdown],
];
const arrays = [
  ["Strings", DataType.String, ["a", "", null]], ["Bytes", DataType.ByteString, [Buffer.from("x"), Buffer.alloc(0), null]],
  ["Empty", DataType.Double, []], ["Large", DataType.Byte, Buffer.alloc(70000, 7)], ["Variants", DataType.Variant, [new Variant({ dataType: "Int32", value: 1 }), new Variant({ dataType: "String", value: "b" })]],
];

async function main() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "heliograph-plant-"));
  process.on("exit", () => fs.rmSync(scratch, { recursive: true, force: true }));
  const all = options.nodesets ? [nodesets.standard, nodesets.di, nodesets.ia, nodesets.machinery, nodesets.packML] : [nodesets.standard];
  const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(scratch, "pki") });
  const users = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: path.join(scratch, "users") });
  await manager.initialize();
  if (options.structures) all.push(path.join(__dirname, "recipe.xml"));
  const certificateFile = path.join(scratch, "certificate.pem");
  const made = options.certificate; // hours ago; validity in days
  await manager.createSelfSignedCertificate({
    applicationUri: "urn:heliograph:plant", dns: made.dns, ip: made.ip, outputFile: certificateFile, subject: "/CN=plant", startDate: new Date(Date.now() - made.ago * 3600e3), validity: 10,
  });
  const server = new OPCUAServer({
    certificateFile, privateKeyFile: manager.privateKey,
    port: options.port, hostname: "127.0.0.1", nodeset_filename: all.filter((f) => f), serverCertificateManager: manager, userCertificateManager: users,
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes256_Sha256_RsaPss],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    allowAnonymous: true, userManager: { isValidUser: (name, password) => name === "joe" && password === "secret" },
    serverInfo: { applicationUri: "urn:heliograph:plant", productUri: "urn:heliograph:plant" },
    serverCapabilities: Object.assign({ maxSessions: 100 }, options.limits),
    maxConnectionsPerEndpoint: 100,
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (const uri of options.namespaces) space.registerNamespace(uri);
  const ns = options.namespaces.length > 0 ? space.getNamespace(options.namespaces[0]) : space.getOwnNamespace();
  space.installAlarmsAndConditionsService();

  const plant = ns.addObject({ organizedBy: "ObjectsFolder", browseName: "Plant", nodeId: "s=Plant", nodeVersion: "1", eventNotifier: EventNotifierFlags.SubscribeToEvents, notifierOf: space.rootFolder.objects.server });
  const folder = (name) => ns.addObject({ componentOf: plant, browseName: name, nodeId: "s=Plant." + name, typeDefinition: "FolderType" });
  const tags = new Map();
  const add = (name, parent) => {
    const v = ns.addAnalogDataItem({ componentOf: parent || plant, eventSourceOf: parent ? undefined : plant, browseName: name, nodeId: "s=Plant." + name, dataType: "Double", engineeringUnitsRange: { low: 0, high: 100 },
      engineeringUnits: { namespaceUri: "http://www.opcfoundation.org/UA/units/un/cefact", unitId: 4408652, displayName: "°C", description: "degree Celsius" }, value: { dataType: "Double", value: 1 } });
    tags.set(name, v);
    return v;
  };
  const plain = (name, parent) => {
    const v = ns.addVariable({ componentOf: parent, browseName: name, nodeId: "s=Plant." + name, dataType: "Double", value: { dataType: "Double", value: 0 } });
    tags.set(name, v);
    return v;
  };
  let group;
  for (let i = 0; i < options.tags; i++) {
    if (i % 100 === 0) group = folder("Group" + i / 100);
    (i % 50 === 0 ? add : plain)("Tag" + i, group);
  }
  // historical tags keep their values in memory, and serve HistoryRead.
  for (let i = 0; i < options.historical; i++) space.installHistoricalDataNode(tags.get("Tag" + i), { maxOnlineValues: 100000 });
  if (options.aggregates) {
    addAggregateSupport(space, [AggregateFunction.Interpolative, AggregateFunction.Minimum, AggregateFunction.Maximum, AggregateFunction.Average, AggregateFunction.Count]);
    for (let i = 0; i < options.historical; i++) installAggregateConfigurationOptions(tags.get("Tag" + i), {});
  }
  const odd = folder("Hard");
  for (const [name, dataType, value] of hard) ns.addVariable({ componentOf: odd, browseName: name, nodeId: "s=Hard." + name, dataType: DataType[dataType], value: { dataType, arrayType: VariantArrayType.Scalar, value } });
  for (const [name, dataType, value] of arrays) {
    ns.addVariable({ componentOf: odd, browseName: name, nodeId: "s=Hard." + name, dataType: dataType === DataType.Variant ? "BaseDataType" : DataType[dataType], valueRank: 1,
      value: { dataType, arrayType: VariantArrayType.Array, value } });
  }
  ns.addVariable({ componentOf: odd, browseName: "Matrix", nodeId: "s=Hard.Matrix", dataType: "Int32", valueRank: 2, arrayDimensions: [0, 3],
    value: { dataType: "Int32", arrayType: VariantArrayType.Matrix, dimensions: [0, 3], value: new Int32Array(0) } });
  ns.addVariable({ componentOf: odd, browseName: "Cube", nodeId: "s=Hard.Cube", dataType: "Int32", valueRank: 3, arrayDimensions: [2, 2, 2],
    value: { dataType: "Int32", arrayType: VariantArrayType.Matrix, dimensions: [2, 2, 2], value: new Int32Array([1, 2, 3, 4, 5, 6, 7, 8]) } });
  ns.addVariable({ componentOf: odd, browseName: "Range", nodeId: "s=Hard.Range", dataType: "Range",
    value: { dataType: "ExtensionObject", value: space.constructExtensionObject(resolveNodeId("Range"), { low: 1, high: 2 }) } });
  const colours = ns.addEnumerationType({ browseName: "Colour", enumeration: ["Red", "Green"] });
  ns.addVariable({ componentOf: odd, browseName: "Colour", nodeId: "s=Hard.Colour", dataType: colours, value: { dataType: "Int32", value: 1 } });
  if (options.structures) {
    const recipe = space.findDataType("Recipe", space.getNamespaceIndex("urn:heliograph:recipes"));
    ns.addVariable({ componentOf: odd, browseName: "Recipe", nodeId: "s=Hard.Recipe", dataType: recipe,
      value: { dataType: "ExtensionObject", value: space.constructExtensionObject(recipe.nodeId, { speed: 3, name: "steel" }) } });
  }
  const method = ns.addMethod(plant, { browseName: "Start", nodeId: "s=Plant.Start", inputArguments: [{ name: "speed", dataType: DataType.Double }], outputArguments: [] });
  method.bindMethod((inputs, context, callback) => callback(null, { statusCode: StatusCodes.Good, outputArguments: [] }));

  const kind = ns.addEventType({ browseName: "PressEventType", subtypeOf: "BaseEventType" });
  ns.addVariable({ propertyOf: kind, browseName: "Strokes", dataType: "UInt32", modellingRule: "Mandatory" });
  const watched = add("Temperature");
  const alarm = ns.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", { browseName: "Overheated", nodeId: "s=Plant.Overheated", componentOf: plant, conditionSource: watched,
    conditionOf: watched, inputNode: watched, highLimit: 80, highHighLimit: 95, lowLimit: -10, lowLowLimit: -20 });

  await server.start();
  const names = [...tags.keys()].filter((n) => n.startsWith("Tag"));
  let at = 0;
  const tick = (n) => {
    for (let i = 0; i < n && names.length > 0; i++) tags.get(names[at++ % names.length]).setValueFromSource({ dataType: "Double", value: Math.round(Math.random() * 10000) / 100 });
  };
  if (options.perTick > 0) setInterval(() => tick(options.perTick), options.period);
  say({ ready: server.getEndpointUrl().replace(/\/\/[^:]+:/, "//127.0.0.1:") });

  const commands = {
    add: (c) => { add(c.name); },
    remove: (c) => { space.deleteNode(tags.get(c.name)); tags.delete(c.name); },
    set: (c) => { tags.get(c.name).setValueFromSource({ dataType: "Double", value: c.value }); },
    tick: (c) => { tick(c.count); },
    // series gives a tag the values from 1 on, or some of those below a modulus, with times since its last one, a millisecond apart at least.
    series: (c) => {
      const v = tags.get(c.name);
      const from = v.readValue().sourceTimestamp.getTime(), step = Math.max(1, Math.floor((Date.now() - from) / (c.count + 1)));
      for (let i = 1; i <= c.count; i++) v.setValueFromSource({ dataType: "Double", value: c.modulus ? (i * 37) % c.modulus : i }, StatusCodes.Good, new Date(from + i * step));
    },
    // integers gives a variable an Int32, or an array of so many of them.
    integers: (c) => {
      if (!tags.has(c.name)) {
        tags.set(c.name, ns.addVariable({ componentOf: plant, browseName: c.name, nodeId: "s=Plant." + c.name, dataType: "BaseDataType", valueRank: -2, value: { dataType: "Int32", value: 0 } }));
      }
      tags.get(c.name).setValueFromSource(c.count > 0 ? { dataType: "Int32", arrayType: "Array", value: Int32Array.from({ length: c.count }, (_, i) => i * 2654435761) } : { dataType: "Int32", value: 0 });
    },
    alarm: (c) => { watched.setValueFromSource({ dataType: "Double", value: c.value }); return { active: alarm.activeState.getValue() }; },
    event: (c) => { plant.raiseEvent(kind, { message: { dataType: "LocalizedText", value: { text: c.text } }, severity: { dataType: "UInt16", value: c.severity || 100 }, strokes: { dataType: "UInt32", value: c.strokes || 0 } }); },
    stop: async () => { await server.shutdown(0); say({ ok: true }); process.exit(0); },
  };
  readline.createInterface({ input: process.stdin }).on("line", async (line) => {
    try {
      const c = JSON.parse(line);
      say(Object.assign({ ok: true }, await commands[c.do](c)));
    } catch (e) {
      say({ ok: false, error: String(e && e.message) });
    }
  }).on("close", () => process.exit(0));
}
main().catch((e) => { console.error(e); process.exit(1); });
