// Compares what the page found with what the program found on the same software driver.
//
//     node compare.mjs FOLDER DIFFERENCES

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

const [folder, table] = process.argv.slice(2);
const read = (name) => readFileSync(join(folder, name), "utf8");
const problems = [];

/** Probabilities of the photographs. */
const MOST = 1e-4;
const page = JSON.parse(read("answers.json"));
const native = read("native.jsonl").trim().split("\n").map((line) => JSON.parse(line));
if (native.length !== 5) problems.push(`${native.length} photographs instead of 5`);
let worst = 0;
for (const { input, predictions } of native) {
  const answers = page[basename(input)] ?? [];
  for (const { label, probability } of predictions) {
    const found = answers.find((answer) => answer.label === label)?.probability;
    worst = Math.max(worst, Math.abs(found - probability));
    if (!(Math.abs(found - probability) <= MOST)) problems.push(`${input}: ${label} is ${probability} for the program and ${found} in the page`);
  }
}

/** Verdicts, and controls. */
const known = JSON.parse(readFileSync(table, "utf8")).map((entry) => ({ ...entry, used: 0, cases: new RegExp(entry.cases) }));
const [a, b] = ["native.json", "gpu-resnet-verify.json"].map((name) => JSON.parse(read(name)));
const there = new Map(b.adapters[0].cases.map((result) => [result.id, result]));
const here = new Map(a.adapters[0].cases.map((result) => [result.id, result]));
// A case that one side lacks must be there with another kernel.
const shape = (id) => id.replace(/ (variant|layout)=\S+/, "");
const shapes = [here, there].map((cases) => new Set([...cases.keys()].map(shape)));
let equal = 0;
for (const id of new Set([...here.keys(), ...there.keys()])) {
  const [program, found] = [here, there].map((cases) => cases.get(id)?.status ?? "missing");
  if (program === found) {
    equal += 1;
    continue;
  }
  const entry = known.find((entry) => entry.cases.test(id) && entry.program === program && entry.page === found);
  if (entry && shapes.every((side) => side.has(shape(id)))) entry.used += 1;
  else problems.push(`${id}: ${program} for the program and ${found} in the page`);
}
for (const entry of known) if (!entry.used) problems.push(`no case differs as the table says: ${entry.cases} (${entry.reason})`);
if (!b.valid) problems.push("the page's run is invalid");
const [caughtA, caughtB] = [a, b].map((report) => report.adapters[0].controls.filter((control) => control.caught).length);
if (caughtB < 1) problems.push("no control was caught in the page");
for (const name of ["schema", "crate_version", "suite", "filter"]) if (a[name] !== b[name]) problems.push(`${name}: ${a[name]} and ${b[name]}`);
if (JSON.stringify(a.shader_hashes) !== JSON.stringify(b.shader_hashes)) problems.push("the page has other shaders");
if (!b.adapters[0].fingerprint?.probes.length) problems.push("the page's report has no fingerprint");

const differing = known.reduce((sum, entry) => sum + entry.used, 0);
console.error(`web-test: probabilities within ${worst.toExponential(1)}; ${equal} verdicts equal, ${differing} differ as the table says; controls caught: ${caughtA} by the program, ${caughtB} in the page`);
if (problems.length) {
  console.error(problems.slice(0, 30).join("\n"));
  process.exit(1);
}
