// newcomer.js: an IT client that connects for the first time, on node-opcua.
//
//   node newcomer.js '{"url":"opc.tcp://…","tag":"ns=1;s=…"}'
//
// It looks around, and decodes a structure and an enumeration of the plant's own, as far
// as the server describes. It prints what it got as one JSON object.
"use strict";
const { OPCUAClient, AttributeIds, makeBrowsePath } = require("node-opcua");

const o = JSON.parse(process.argv[2]);

async function main() {
  const client = OPCUAClient.create({ applicationName: "newcomer", endpointMustExist: false, connectionStrategy: { maxRetry: 0 } });
  await client.connect(o.url);
  const session = await client.createSession();
  const value = (nodeId) => session.read({ nodeId, attributeId: AttributeIds.Value });
  const out = { namespaces: (await session.readNamespaceArray()).length };
  out.root = (await session.browse("RootFolder")).references.map((r) => r.browseName.name);
  const recipe = await value("ns=1;s=Hard.Recipe");
  out.recipe = recipe.value.value && { speed: recipe.value.value.speed, name: recipe.value.value.name };
  out.recipeStatus = recipe.statusCode.name;
  const property = async (node, name) => {
    const found = await session.translateBrowsePath(makeBrowsePath(node, "." + name));
    return value(found.targets[0].targetId);
  };
  const type = (await session.read({ nodeId: "ns=1;s=Hard.Colour", attributeId: AttributeIds.DataType })).value.value;
  const colours = await property(type, "EnumStrings");
  out.colours = [colours.statusCode.name, ...colours.value.value.map((t) => t.text)];
  const units = await property(o.analog, "EngineeringUnits");
  out.units = [units.statusCode.name, units.value.value.displayName.text];
  out.arguments = (await session.getArgumentDefinition("ns=1;s=Plant.Start")).inputArguments.map((a) => a.name);
  out.tag = (await value(o.tag)).statusCode.name;
  await session.close();
  await client.disconnect();
  process.stdout.write(JSON.stringify(out) + "\n");
}
main().then(() => process.exit(0)).catch((e) => { process.stdout.write(JSON.stringify({ error: String(e && e.message) }) + "\n"); process.exit(1); });
