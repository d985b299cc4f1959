// reader.js: an IT client that reads one value, on node-opcua.
//
//   node reader.js '{"url":"opc.tcp://…","tag":"ns=1;s=…"}'
//   node reader.js '{…,"policy":"Basic256Sha256","pki":"folder of its own","user":"ann","password":"…"}'
//
// It prints the value with its status as one JSON object. It trusts any server.
"use strict";
const { OPCUAClient, OPCUACertificateManager, MessageSecurityMode, SecurityPolicy, UserTokenType, AttributeIds } = require("node-opcua");

const o = JSON.parse(process.argv[2]);

async function options() {
  const plain = { applicationName: "reader", endpointMustExist: false, connectionStrategy: { maxRetry: 0 } };
  if (!o.policy) return plain;
  const manager = new OPCUACertificateManager({ automaticallyAcceptUnknownCertificate: true, rootFolder: o.pki });
  await manager.initialize();
  return { ...plain, clientCertificateManager: manager, securityMode: MessageSecurityMode.SignAndEncrypt, securityPolicy: SecurityPolicy[o.policy] };
}

async function main() {
  const client = OPCUAClient.create(await options());
  await client.connect(o.url);
  const session = await client.createSession(o.user ? { type: UserTokenType.UserName, userName: o.user, password: o.password } : undefined);
  const read = await session.read({ nodeId: o.tag, attributeId: AttributeIds.Value });
  await session.close();
  await client.disconnect();
  process.stdout.write(JSON.stringify({ value: read.value.value, status: read.statusCode.name }) + "\n");
}
main().then(() => process.exit(0)).catch((e) => { process.stdout.write(JSON.stringify({ error: String(e && e.message) }) + "\n"); process.exit(1); });
