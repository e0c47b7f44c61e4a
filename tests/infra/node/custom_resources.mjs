// Checks the custom resources in a file of manifests against the definitions their projects publish, offline.
//
// Twice, because a cluster drops unknown fields in silence and the validators do so, too: they check values, and the
// TypeScript compiler, to whom a field without a declaration is an error, checks names.
import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const PACKAGES = {
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};
// Groups of Kubernetes itself have no dot, or are of k8s.io.
const BUILT_IN = /^[^.]*$|\.k8s\.io$/;
const VIRTUAL = path.join(import.meta.dirname, "resource.ts");

const OPTIONS = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
};

function namesErrors(module, kind, resource) {
  const type = `I${kind}`;
  const source = `import type { ${type} } from "${module}";\nexport const resource: ${type} = ${JSON.stringify(resource)};\n`;
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, getSourceFile, readFile } = host;
  host.fileExists = (name) => name === VIRTUAL || fileExists(name);
  host.readFile = (name) => (name === VIRTUAL ? source : readFile(name));
  host.getSourceFile = (name, ...rest) =>
    name === VIRTUAL ? ts.createSourceFile(name, source, OPTIONS.target) : getSourceFile(name, ...rest);
  const program = ts.createProgram([VIRTUAL], OPTIONS, host);
  return ts.getPreEmitDiagnostics(program).map((found) => ts.flattenDiagnosticMessageText(found.messageText, " "));
}

async function errorsOf(resource) {
  const { apiVersion, kind } = resource;
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  if (BUILT_IN.test(group)) return [];
  if (!(group in PACKAGES)) {
    return [`no definition of ${apiVersion} is known here, only of ${Object.keys(PACKAGES).join(", ")}`];
  }
  const module = `${PACKAGES[group]}/${apiVersion}/${kind}`;
  const { [kind]: Model } = await import(module);
  const found = namesErrors(module, kind, resource);
  try {
    new Model(resource).validate();
  } catch (error) {
    found.push(error.message);
  }
  return found;
}

let failed = false;
for (const document of parseAllDocuments(readFileSync(process.argv[2], "utf8"))) {
  const resource = document.toJS();
  for (const error of await errorsOf(resource)) {
    failed = true;
    console.log(`${resource.kind} ${resource.metadata.name}: ${error}`);
  }
}
process.exitCode = Number(failed);
