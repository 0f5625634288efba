#!/usr/bin/env node
// Asks Tint, the WGSL compiler of Chrome, whether it accepts kernels, so that each is known to run in a browser.
//
//     GPU_RESNET_DAWN=…/dawn.node scripts/tint.mjs LIST.json RESULTS.jsonl
//     scripts/tint.mjs --version
//
// LIST.json is an array of {"file", "entry", "constants"}. RESULTS.jsonl gets a line for each kernel as soon as it is known: {"message": null}
// if the kernel compiles, else what Tint says. The library is Dawn's binding for Node (npm package webgpu); scripts/setup.sh
// --all-drivers fetches it. Dawn's null backend is used: no driver and no GPU take part.

import { appendFileSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const MOST = 2000; // characters of a message

const library = process.env.GPU_RESNET_DAWN ?? "dawn.node";
const arguments_ = process.argv.slice(2);
let gpu; // collected, it would take the device with it

async function open() {
  let dawn;
  try {
    dawn = createRequire(import.meta.url)(library);
  } catch (error) {
    throw new Error(`${library} could not be loaded (${error.message}); scripts/setup.sh --all-drivers fetches it`);
  }
  Object.assign(globalThis, dawn.globals);
  gpu = dawn.create(["backend=null"]);
  const adapter = await gpu.requestAdapter();
  const wanted = ["shader-f16", "subgroups"].filter((feature) => adapter.features.has(feature));
  const limits = {};
  for (const name of ["maxComputeWorkgroupStorageSize", "maxStorageBuffersPerShaderStage", "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX"]) {
    limits[name] = adapter.limits[name];
  }
  return adapter.requestDevice({ requiredFeatures: wanted, requiredLimits: limits });
}

// What is wrong with a kernel, or null.
async function check(device, { file, entry, constants }) {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: readFileSync(file, "utf8") });
  const refused = await device.popErrorScope();
  if (refused) return refused.message;
  device.pushErrorScope("validation");
  device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: entry, constants } });
  return (await device.popErrorScope())?.message ?? null;
}

async function main() {
  if (arguments_.length === 1 && arguments_[0] === "--version") {
    const device = await open();
    const version = process.env.GPU_RESNET_DAWN_VERSION;
    console.log(`Tint of Dawn's binding for Node${version ? ` ${version}` : ""}${device.features.has("shader-f16") ? "" : ", without f16"}`);
    return;
  }
  if (arguments_.length !== 2) throw new Error("it takes a list of kernels and a file for the results");
  const [list, results] = arguments_;
  const kernels = JSON.parse(readFileSync(list, "utf8"));
  const device = await open();
  for (const kernel of kernels) {
    const message = await check(device, kernel);
    appendFileSync(results, `${JSON.stringify({ message: message?.slice(0, MOST) ?? null })}\n`);
  }
}

// Dawn's own threads would keep the process alive.
main().then(
  () => process.exit(0),
  (error) => {
    console.error(`tint.mjs: ${error.message}`);
    process.exit(1);
  },
);
