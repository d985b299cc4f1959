// reader.js: an IT client that reads one value, on node-opcua.
//
//   node reader.js '{"url":"opc.tcp://…","tag":"ns=1;s=…"}'
//
// It prints the value with its status as one JSON object.
"use strict";
const { OPCUAClient, AttributeIds } = require("node-opcua");

const o = JSON.parse(process.argv[2]);

async function main() {
  const client = OPCUAClient.create({ applicationName: "reader", endpointMustExist: false, connectionStrategy: { maxRetry: 0 } });
  await client.connect(o.url);
  const session = await client.createSession();
  const read = await session.read({ nodeId: o.tag, attributeId: AttributeIds.Value });
  await session.close();
  await client.disconnect();
  process.stdout.write(JSON.stringify({ value: read.value.value, status: read.statusCode.name }) + "\n");
}
main().then(() => process.exit(0)).catch((e) => { process.stdout.write(JSON.stringify({ error: String(e && e.message) }) + "\n"); process.exit(1); });
