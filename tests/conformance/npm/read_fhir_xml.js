// Reads FHIR resources in XML as the `fhir` package of npm understands them, and writes them as XML again.
"use strict";

const { Fhir } = require("fhir");

const fhir = new Fhir();

function read(xml) {
  try {
    const json = fhir.xmlToJson(xml);
    return { json, again: fhir.objToXml(fhir.xmlToObj(xml)), faults: fhir.validate(JSON.parse(json)).messages };
  } catch (error) {
    return { faults: [{ severity: "error", message: String(error) }] };
  }
}

const documents = JSON.parse(require("fs").readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(documents.map(read)));
