// look.js: opens status pages in headless Chromium and says what is wrong with them.
//
//   node look.js '{"browser":"/usr/bin/chromium","folder":"DIR for screenshots","looks":[{"name":…,"url":…,"level":…,"says":[…]},…],
//                  "away":{"name":…,"url":…,"stop":URL,"start":URL}}'
//
// A line for each fault on standard output; exit code 1 when it could not look.
"use strict";
const puppeteer = require("puppeteer-core");
const axe = require("fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const o = JSON.parse(process.argv[2]);
const widths = [360, 800, 1400];
const schemes = ["light", "dark"];
const fault = (look, text) => process.stdout.write(`${look.name}: ${text}\n`);
const until = (page, what, condition, ...args) => page.waitForFunction(condition, { timeout: 60000, polling: 100 }, ...args)
  .catch(() => { throw new Error(`not within a minute: ${what}`); });

async function open(browser, l, script = true) {
  const page = await (await browser.createBrowserContext()).newPage(); // a window of its own: one behind another draws nothing
  page.on("console", (m) => { if (!l.stop) fault(l, `console: ${m.type()}: ${m.text()}`); });
  page.on("pageerror", (e) => fault(l, `error: ${e}`));
  page.on("request", (r) => { if (!r.url().startsWith(l.url)) fault(l, `loads ${r.url()}`); });
  await page.setViewport({ width: 1400, height: 900 });
  await page.setJavaScriptEnabled(script);
  await page.goto(l.url);
  return page;
}

async function says(page, l) {
  if (!await page.$(`#trust.${l.level}`)) fault(l, `the verdict is not ${l.level}`);
  const text = (await page.content()).replace(/<[^>]*>/g, "").replaceAll("&amp;", "&");
  for (const part of l.says) if (!text.includes(part)) fault(l, `does not say ${JSON.stringify(part)}`);
}

// look sees what the page says, that it goes on without reload, and how it looks at each width in each scheme.
async function look(browser, l, schemeOfAxe) {
  const page = await open(browser, l);
  await page.evaluate(() => { window.sameDocument = true; });
  await says(page, l);
  const asOf = await page.$eval("#top time", (t) => t.textContent);
  await until(page, "a later time, without reload", (t) => document.querySelector("#top time").textContent > t && window.sameDocument, asOf);
  if (await page.$("#plots")) await plots(page, l);
  for (const scheme of schemes) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
    for (const width of widths) {
      await page.setViewport({ width, height: 900 });
      const wide = await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
        () => done(document.documentElement.scrollWidth - document.documentElement.clientWidth)))));
      if (wide > 0) fault(l, `scrolls ${wide} px sideways at ${width}`);
      await page.screenshot({ path: `${o.folder}/page-${l.name}-${width}-${scheme}.png`, fullPage: true });
      if (scheme === schemeOfAxe && width !== 800) await accessible(page, l, `${width} ${scheme}`);
    }
  }
  await page.browserContext().close();
}

async function plots(page, l) {
  await until(page, "plots", () => document.querySelectorAll("#plots canvas").length > 0);
  const drawn = await page.$$eval("#plots canvas", (all) => all.map((c) => c.getContext("2d")
    .getImageData(0, 0, c.width, c.height).data.some((v) => v)));
  if (drawn.includes(false)) fault(l, "a plot is blank");
  const rows = await page.$$eval("#plots tbody tr", (all) => all.length);
  if (rows < 10) fault(l, `the table of the plots has ${rows} rows`);
  await page.focus("#plots input:checked"); // the keyboard chooses another span
  await page.keyboard.press("ArrowRight");
  await until(page, "the day, chosen with the keyboard", () => document.querySelector("#plots caption").textContent.includes("1 day"));
}

async function accessible(page, l, where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  for (const v of violations) fault(l, `axe at ${where}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | ")}`);
}

// plain sees the page as it is without JavaScript.
async function plain(browser, l) {
  const page = await open(browser, l, false);
  await says(page, { ...l, says: l.says.filter((part) => !l.drawn?.includes(part)) });
  if (!(await page.content()).includes('http-equiv="refresh"')) fault(l, "does not reload itself without JavaScript");
  await page.browserContext().close();
}

// away sees that a page without its board says so, and is as before when the board is back.
async function away(browser, l) {
  const page = await open(browser, l);
  await page.evaluate(() => { window.sameDocument = true; });
  await until(page, "an event", () => document.querySelector(".pulse"));
  await fetch(l.stop);
  await until(page, "that the connection is lost", () => !document.getElementById("away").hidden &&
    getComputedStyle(document.getElementById("trust")).display === "none" && document.title.startsWith("?"));
  await accessible(page, l, "a lost connection");
  await page.screenshot({ path: `${o.folder}/page-${l.name}-1400-light.png`, fullPage: true });
  await fetch(l.start);
  await until(page, "that it connects again", () => document.getElementById("away").hidden && window.sameDocument);
  await page.browserContext().close();
}

async function main() {
  const browser = await puppeteer.launch({ executablePath: o.browser, args: ["--no-sandbox", "--disable-gpu"] });
  const waiting = o.looks.map((l, i) => [l.name, l, () => look(browser, l, schemes[i % 2])]);
  waiting.push(...o.looks.filter((l) => l.name.endsWith("-healthy")).map((l) => [`${l.name} without JavaScript`, l, () => plain(browser, l)]));
  const timed = async ([name, l, task]) => {
    const begun = Date.now();
    await task().catch((e) => fault(l, e.message));
    process.stderr.write(`${name}: ${Date.now() - begun} ms\n`);
  };
  await Promise.all([timed(["away", o.away, () => away(browser, o.away)]), ...[1, 2].map(async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await timed(next);
  })]);
  await browser.close();
}
main().then(() => process.exit(0)).catch((e) => { process.stderr.write(`${e.stack}\n`); process.exit(1); });
