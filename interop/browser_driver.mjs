// Runs headless Chromium on browser_page.html. Reads {"call", "args"} lines from standard input, calls that function of
// the page and answers {"event": "reply", "value"} or {"event": "reply", "error"}. Ends when its input ends or on SIGTERM.
//
// usage: node browser_driver.mjs NPM_DIR CHROMIUM PROFILE_DIR
import { createReadStream, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const [npmDir, executablePath, profile] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(resolve(npmDir), "package.json"))("playwright-core");
// Its entry file has had different names from release to release.
const sora = join(resolve(npmDir), "node_modules/sora-js-sdk");
const { exports, module } = JSON.parse(readFileSync(join(sora, "package.json"), "utf8"));
const files = {
  "/": ["text/html", join(here, "browser_page.html")],
  "/sora.mjs": ["text/javascript", join(sora, exports?.["."]?.import ?? module)],
};
const server = createServer((request, response) => {
  const file = files[request.url];
  if (request.url === "/favicon.ico") return response.writeHead(204).end();
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": file[0] });
  createReadStream(file[1]).pipe(response);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  handleSIGTERM: false,
  args: [
    "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
const end = async () => {
  await context.close();
  process.exit(0);
};
process.on("SIGTERM", end);

const page = context.pages()[0] ?? (await context.newPage());
page.on("console", (message) => console.error(`page: ${message.text()}`));
page.on("pageerror", (error) => console.error(`page error: ${error}`));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction(() => window.ready === true, null, { timeout: 15000 });
const say = (event) => console.log(JSON.stringify(event));
say({ event: "ready", browser: context.browser()?.version() ?? "" });

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  try {
    say({ event: "reply", value: await page.evaluate(([name, given]) => window[name](given), [call, args]) });
  } catch (error) {
    say({ event: "reply", error: String(error) });
  }
}
await end();
