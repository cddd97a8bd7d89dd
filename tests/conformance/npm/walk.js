// Publish, ask and retrieve with the `soap` package of npm and IHE's own contracts. What is wanted comes as JSON on
// standard input, one line of JSON about what came back goes to standard output.
"use strict";
const fs = require("node:fs");
const { randomUUID } = require("node:crypto");
const path = require("node:path");
const soap = require("soap");

const wanted = JSON.parse(fs.readFileSync(0, "utf8"));

async function service(contract, address, action) {
  const client = await soap.createClientAsync(path.join(wanted.contracts, `${contract}.wsdl`), {
    endpoint: `${wanted.house}${address}`,
    forceSoap12Headers: true,
    parseReponseAttachments: true,
  });
  client.setSecurity({ addHeaders: (headers) => (headers.Authorization = wanted.authorization), toXML: () => "" });
  client.addSoapHeader(
    `<a:Action xmlns:a="http://www.w3.org/2005/08/addressing">${action}</a:Action>` +
      `<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:uuid:${randomUUID()}</a:MessageID>`,
  );
  const [port] = Object.values(Object.values(client.describe())[0]);
  const [operation] = Object.keys(port);
  return (message, options) =>
    new Promise((resolve, reject) => {
      const done = (error, answer, raw, header, sent, attachments) =>
        error ? reject(error) : resolve({ answer, parts: attachments?.parts ?? [] });
      client[operation](message, done, options);
    });
}

const slot = (name, value) => ({ attributes: { name }, ValueList: { Value: [value] } });

async function publish() {
  const call = await service("iti41", "/xds/repository", "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b");
  const attachments = [
    { mimetype: "application/pdf", contentId: "d0@npm", name: "report.pdf", body: Buffer.from(wanted.content, "base64") },
  ];
  const { answer } = await call({ _xml: wanted.provide }, { attachments, forceMTOM: true });
  return { status: answer.attributes.status };
}

async function ask(address) {
  const call = await service("iti18", address, "urn:ihe:iti:2007:RegistryStoredQuery");
  const { answer } = await call({
    ResponseOption: { attributes: { returnType: "LeafClass", returnComposedObjects: "true" } },
    AdhocQuery: {
      attributes: { id: wanted.query },
      Slot: Object.entries(wanted.slots).map(([name, value]) => slot(name, value)),
    },
  });
  const objects = answer.RegistryObjectList?.ExtrinsicObject ?? [];
  return { status: answer.attributes.status, found: [].concat(objects).map((one) => one.attributes.id) };
}

async function retrieve() {
  const call = await service("iti43", "/xds/repository", "urn:ihe:iti:2007:RetrieveDocumentSet");
  const asked = [{ RepositoryUniqueId: wanted.repository, DocumentUniqueId: wanted.uniqueId }];
  const { answer, parts } = await call({ DocumentRequest: asked }, { forceMTOM: true });
  const contents = parts.map((one) => Buffer.from(one.body).toString("base64"));
  return { status: answer.RegistryResponse.attributes.status, parts: contents };
}

async function refused() {
  const call = await service("iti43", "/xds/registry", "urn:ihe:iti:2007:RetrieveDocumentSet");
  try {
    await call({ DocumentRequest: [{ RepositoryUniqueId: "2.25.1", DocumentUniqueId: "2.25.1" }] });
  } catch (error) {
    return { status: error.response?.status, fault: error.root?.Envelope?.Body?.Fault?.Code?.Subcode?.Value };
  }
  return {};
}

async function walk() {
  const answers = { published: await publish(), found: await ask("/xds/registry") };
  answers.network = await ask("/xca/initiating");
  answers.retrieved = await retrieve();
  answers.refused = await refused();
  return answers;
}

walk().then((answers) => console.log(JSON.stringify(answers)));
