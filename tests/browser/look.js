// Open HTML files in headless Chromium and tell what happens: node look.js CHROMIUM MODULES FILE...
// One JSON object a file: axe's violations in light, dark and narrow, what the policy refused, dialogs, requests, and what
// the filter does.
const { createRequire } = require("node:module");
const path = require("node:path");
const fs = require("node:fs");
const [chromium, modules, ...names] = process.argv.slice(2);
const load = createRequire(path.join(path.resolve(modules), "x.js"));
const puppeteer = load("puppeteer-core");
const axe = fs.readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

async function violations(page) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return found.violations.map((one) => `${one.id}: ${one.nodes[0].html.slice(0, 200)}`);
}

async function look(browser, name) {
  const page = await browser.newPage();
  const seen = { errors: [], requests: [], violations: {}, dialogs: [] };
  page.on("console", (one) => seen.errors.push(one.text()));
  page.on("pageerror", (one) => seen.errors.push(String(one)));
  page.on("dialog", (one) => { seen.dialogs.push(one.message()); one.dismiss(); });
  page.on("request", (one) => seen.requests.push(one.url()));
  for (const [look_, scheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["narrow", "light", 420]]) {
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto("file://" + path.resolve(name));
    seen.violations[look_] = await violations(page);
    seen[look_ + "Overflow"] = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1);
  }
  seen.title = await page.title();
  seen.pwned = await page.evaluate(() => Boolean(window.pwned));
  seen.elements = await page.evaluate(() => ({
    scripts: document.scripts.length, images: document.images.length, frames: document.querySelectorAll("iframe,object,embed").length,
    links: [...document.links].map((one) => one.getAttribute("href")).filter((one) => !one.startsWith("#")),
    handlers: [...document.querySelectorAll("*")].filter((one) => [...one.attributes].some((a) => a.name.startsWith("on"))).length,
  }));
  await page.type("#words", "fstab");
  seen.filtered = await page.evaluate(() => [...document.querySelectorAll("[data-filter]")].filter((one) => !one.hidden).length);
  seen.all = await page.evaluate(() => document.querySelectorAll("[data-filter]").length);
  await page.setJavaScriptEnabled(false);
  await page.goto("file://" + path.resolve(name));
  seen.plain = await page.$eval("main", (one) => one.innerText.length).catch(() => -1);
  await page.close();
  return seen;
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    for (const name of names) console.log(JSON.stringify(await look(browser, name)));
  } finally {
    await browser.close();
  }
})();
