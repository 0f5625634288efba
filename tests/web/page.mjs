// The page in a browser, as a visitor uses it. Writes what it found into a folder: scripts/web-test.sh compares it with the program's.
//
//     node page.mjs BROWSER URL OUT REPOSITORY FILTER

import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Browser } from "./browser.mjs";

const [program, url, out, repository, filter] = process.argv.slice(2);
const photos = join(repository, "tests/golden/photos");
const digits = join(repository, "examples/digits/train");

const fail = (text) => {
  throw new Error(text);
};
const check = (truth, text) => truth || fail(text);
const said = (text) => console.error(`web-test: ${text}`);

/** The first `most` files of a folder, by name. */
const files = (folder, most, end) =>
  readdirSync(folder).filter((name) => end.test(name)).sort().slice(0, most).map((name) => join(folder, name));

/** What the browser downloads next, once it is whole. */
async function downloaded(page, id, name) {
  await page.click(id);
  const path = join(out, name);
  for (let waited = 0; waited < 300; waited += 1) {
    try {
      const bytes = readFileSync(path);
      if (bytes.length) return bytes;
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return fail(`${name} was not downloaded`);
}

/** Runs a verification to its end, in at most `seconds`; the verdict's word. */
async function verify(page, seconds) {
  await page.click("verify-start");
  await page.until(`document.getElementById("verify-stop").hidden`, seconds);
  return page.eval(`document.getElementById("verdict").dataset.verdict`);
}

async function verification(browser) {
  const page = await browser.open(`${url}?suite=quick&filter=${encodeURIComponent(filter)}`);
  await page.until(`document.documentElement.dataset.ready === "yes"`, 60);
  said(await page.eval(`document.getElementById("adapter-name").textContent`));
  const started = Date.now();
  const verdict = await verify(page, 900);
  said(`the page's verification took ${Math.round((Date.now() - started) / 1000)} s`);
  const report = await downloaded(page, "report-save", "gpu-resnet-verify.json");
  check(JSON.parse(report).adapters[0].cases.length > 10, "the report has no cases");
  check(verdict === "Pass", `the verdict is ${verdict}: ${await page.eval(`document.getElementById("failures").innerText`)}`);
  return page;
}

/** Every end of a case is a result, and the page goes on. */
async function badEnds(page) {
  const ends = { crash: "crash", panic: "crash", hang: "timeout", oom: "oom", "device-lost": "device-lost", fail: "fail" };
  for (const [kind, status] of Object.entries(ends)) {
    await page.eval(`document.getElementById("filter").value = "hook kind=${kind}"; document.getElementById("seconds").value = 3`);
    const verdict = await verify(page, 40);
    const found = await page.eval(`document.getElementById("failures").innerText`);
    check(verdict === "Fail" && found.startsWith(`${status} hook kind=${kind}`), `${kind} ends as ${verdict}: ${found}`);
    if (kind === "panic") check(/on purpose/.test(found), `a panic's message is lost: ${found}`);
  }
  await page.eval(`document.getElementById("filter").value = "hook kind=pass"`);
  check((await verify(page, 40)) === "Pass", "the page does not go on");
}

/**
 * A shader that never ends. A graphics card's driver resets the card; SwiftShader runs it for ever, and nothing can be opened beside it.
 * Either way the case has a result, and the page says how to go on.
 */
async function endlessShader(program) {
  const browser = await Browser.start(program);
  try {
    const page = await browser.open(`${url}?filter=${encodeURIComponent("hook kind=endless-loop")}`);
    await page.until(`document.documentElement.dataset.ready === "yes"`, 60);
    await page.eval(`document.getElementById("seconds").value = 3`);
    const verdict = await verify(page, 60);
    const found = await page.eval(`document.getElementById("failures").innerText`);
    check(verdict === "Fail" && /^(timeout|device-lost) hook kind=endless-loop/.test(found), `an endless shader ends as ${verdict}: ${found}`);
    const sentence = await page.eval(`document.getElementById("verdict-sentence").textContent`);
    check(/^device-lost/.test(found) || /restart of the browser/.test(sentence), `after an endless shader the page says: ${sentence}`);
  } finally {
    await browser.close();
  }
}

async function missedControl(browser) {
  const page = await browser.open(`${url}?suite=quick&filter=${encodeURIComponent("^relu ")}&intact`);
  await page.until(`document.documentElement.dataset.ready === "yes"`, 60);
  const verdict = await verify(page, 60);
  check(verdict === "Invalid", `a control that is not caught gives ${verdict}`);
  const sentence = await page.eval(`document.getElementById("verdict-sentence").textContent`);
  check(/broken on purpose were not caught/.test(sentence), sentence);
  check(await page.eval(`[...document.querySelectorAll("#controls .bad")].some((item) => item.textContent.includes("not caught"))`), "no control is marked");
}

async function classification(page) {
  const chosen = files(photos, 9, /\.(jpg|png)$/);
  await page.choose("#photos", [...chosen, join(photos, "README.md")]);
  await page.until(`Number(document.getElementById("answers").dataset.done) >= ${chosen.length + 1}`, 300);
  const answers = await page.eval(`[...document.querySelectorAll("#answers li[data-name]")].map(({ dataset }) => [dataset.name, JSON.parse(dataset.predictions)])`);
  check(answers.length === chosen.length, `${answers.length} of ${chosen.length} photographs have answers`);
  const bad = await page.eval(`[...document.querySelectorAll("#answers li.bad")].map((item) => item.textContent).join()`);
  check(/README\.md/.test(bad), `a text file among the photographs gives: ${bad}`);
  const pictures = await page.eval(`[...document.querySelectorAll("#answers img")].filter((image) => image.naturalWidth >= 224).length`);
  check(pictures === chosen.length, `${pictures} of ${chosen.length} heat maps are shown`);
  writeFileSync(join(out, "answers.json"), JSON.stringify(Object.fromEntries(answers)));
  said(await page.eval(`document.getElementById("classify-status").textContent`));
}

async function training(page) {
  for (const digit of ["0", "7"]) {
    await page.eval(`document.getElementById("class-name").value = ${JSON.stringify(digit)}`);
    await page.choose("#class-photos", files(join(digits, digit), 12, /\.png$/));
  }
  check((await page.eval(`document.querySelectorAll("#classes li").length`)) === 2, "there are not two classes");
  await page.click("train-start");
  await page.until(`!document.getElementById("trained").hidden`, 300);
  const accuracy = await page.eval(`Number(document.getElementById("trained").dataset.accuracy)`);
  check(accuracy === 1, `the head has ${accuracy} of two digits right`);
  const model = await downloaded(page, "model-save", "model.safetensors");
  said(`${await page.eval(`document.getElementById("trained-sentence").textContent`)} model.safetensors: ${model.length} bytes`);
  // The page uses what it trained.
  await page.click("model-use");
  const before = await page.eval(`Number(document.getElementById("answers").dataset.done)`);
  await page.choose("#photos", files(join(digits, "7"), 13, /\.png$/).slice(12));
  await page.until(`Number(document.getElementById("answers").dataset.done) > ${before}`, 60);
  const [top] = await page.eval(`JSON.parse(document.querySelector("#answers li[data-name]:last-child").dataset.predictions)`);
  check(top.label === "7", `a seven is taken for ${top.label}`);
}

/** Without WebGPU the page says what to do. */
async function withoutWebGpu(browser) {
  const page = await browser.open("about:blank");
  await page.send("Page.addScriptToEvaluateOnNewDocument", { source: `Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined })` });
  await page.send("Page.navigate", { url });
  await page.until(`!document.getElementById("trouble").hidden`, 30);
  const text = await page.eval(`document.getElementById("trouble").textContent`);
  check(/Chrome.* 113 .* 121 .* 144 .*Safari.* 26,.*Firefox.* 141 /.test(text), text);
  check(await page.eval(`document.getElementById("verify-start").disabled`), "the page offers what it can't do");
}

async function pictures(page) {
  for (const [name, width, height, scheme] of [["wide", 1100, 1400, "light"], ["narrow", 390, 1700, "dark"]]) {
    writeFileSync(join(out, `${name}.png`), await page.screenshot(width, height, scheme));
  }
}

mkdirSync(out, { recursive: true });
const browser = await Browser.start(program);
try {
  await browser.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: out });
  const page = await verification(browser);
  await classification(page);
  if (process.env.GPU_RESNET_PICTURES) await pictures(page);
  await training(page);
  if (process.env.GPU_RESNET_PICTURES) await pictures(page);
  await badEnds(page);
  await missedControl(browser);
  await withoutWebGpu(browser);
  check(!page.foreign.length, `the page asked elsewhere: ${page.foreign.join(", ")}`);
  check(!page.errors.length, `the console has errors: ${page.errors.join("; ")}`);
} finally {
  await browser.close();
}
await endlessShader(program);
