// client.js: an IT client for the tests, on node-opcua.
//
//   node client.js '{"url":"opc.tcp://…","policy":"Basic256Sha256","user":"ann","password":"…","tag":"ns=1;s=…"}'
//
// It looks around, subscribes, tries all that must be refused, and prints what it got
// as one JSON object.
"use strict";
const fs = require("fs"), os = require("os"), path = require("path");
const {
  OPCUAClient, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, AttributeIds, TimestampsToReturn, UserTokenType, ClientSubscription, ClientMonitoredItem,
  DataType, makeBrowsePath, constructEventFilter,
} = require("node-opcua");

const o = JSON.parse(process.argv[2]);

function identity() {
  if (o.user) return { type: UserTokenType.UserName, userName: o.user, password: o.password };
  if (o.userCertificate) return { type: UserTokenType.Certificate, certificateData: fs.readFileSync(o.userCertificate), privateKey: fs.readFileSync(o.userKey, "utf8") };
  return undefined;
}

async function main() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "heliograph-client-"));
  process.on("exit", () => fs.rmSync(scratch, { recursive: true, force: true }));
  const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: o.pki || path.join(scratch, "pki") });
  await manager.initialize();
  const secured = o.policy && o.policy !== "None";
  const client = OPCUAClient.create({
    applicationName: "it", endpointMustExist: false, connectionStrategy: { maxRetry: 0 }, clientCertificateManager: manager,
    securityMode: secured ? MessageSecurityMode.SignAndEncrypt : MessageSecurityMode.None, securityPolicy: SecurityPolicy[o.policy || "None"],
  });
  await client.connect(o.url);
  const session = await client.createSession(identity());
  const out = {};
  const root = await session.browse("RootFolder");
  out.root = root.references.map((r) => r.browseName.name);
  out.plant = (await session.browse("ns=1;s=Plant")).references.length;
  const found = await session.translateBrowsePath(makeBrowsePath("RootFolder", "/Objects/Server/ServerStatus.State"));
  out.translated = found.targets.length;
  const status = await session.read({ nodeId: "i=2256", attributeId: AttributeIds.Value });
  out.state = status.value.value.state;
  const tag = await session.read({ nodeId: o.tag, attributeId: AttributeIds.Value });
  out.value = tag.value.value;
  out.sourceTimestamp = !!tag.sourceTimestamp;

  const subscription = ClientSubscription.create(session, { requestedPublishingInterval: 100, requestedLifetimeCount: 600, requestedMaxKeepAliveCount: 10, maxNotificationsPerPublish: 100, publishingEnabled: true, priority: 1 });
  let values = 0;
  const item = ClientMonitoredItem.create(subscription, { nodeId: o.tag, attributeId: AttributeIds.Value }, { samplingInterval: 100, queueSize: 10, discardOldest: true }, TimestampsToReturn.Both);
  item.on("changed", () => values++);
  const events = ClientMonitoredItem.create(subscription, { nodeId: "i=2253", attributeId: AttributeIds.EventNotifier },
    { samplingInterval: 0, queueSize: 100, discardOldest: true, filter: constructEventFilter(["EventType", "Message"]) }, TimestampsToReturn.Both);
  let refreshed = 0;
  events.on("changed", () => refreshed++);
  const until = async (f) => { for (let i = 0; i < 200 && !f(); i++) await new Promise((r) => setTimeout(r, 50)); };
  await until(() => values > 0 && subscription.subscriptionId);
  out.refresh = (await session.call({ objectId: "i=2782", methodId: "i=3875", inputArguments: [{ dataType: DataType.UInt32, value: subscription.subscriptionId }] })).statusCode.name;
  await until(() => refreshed >= 2); // at least its start and its end
  out.values = values;
  out.refreshed = refreshed >= 2;

  out.write = (await session.write({ nodeId: o.tag, attributeId: AttributeIds.Value, value: { value: { dataType: DataType.Double, value: 1 } } })).name;
  out.call = (await session.call({ objectId: "ns=1;s=Plant", methodId: "ns=1;s=Plant.Start", inputArguments: [{ dataType: DataType.Double, value: 1 }] })).statusCode.name;
  const history = await session.readHistoryValue(o.tag, new Date(0), new Date());
  out.history = (Array.isArray(history) ? history[0] : history).statusCode.name;
  await subscription.terminate();
  await session.close();
  await client.disconnect();
  process.stdout.write(JSON.stringify(out) + "\n");
}
main().then(() => process.exit(0)).catch((e) => { process.stdout.write(JSON.stringify({ error: String(e && e.message) }) + "\n"); process.exit(1); });
