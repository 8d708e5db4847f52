// Pictures of the page of an audit, for the book:
//   node pictures.mjs SAMPLE.html FOLDER
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./browser.mjs";

const [sample, folder] = process.argv.slice(2);
const PICTURES = [
  ["audit-fleet.png", "#fleet", "light", 1010],
  ["audit-host.png", "#host-web1", "light", 780],
  ["audit-host-dark.png", "#host-web1", "dark", 780],
];

const { page, stop } = await start();
try {
  for (const [name, hash, scheme, height] of PICTURES) {
    await page.send("Emulation.setDeviceMetricsOverride", { width: 1120, height, deviceScaleFactor: 1, mobile: false });
    await page.media(scheme);
    await page.open(sample);
    await page.go(hash.slice(1));
    await page.value("document.activeElement.blur(); scrollTo(0, 0)");
    const { data } = await page.send("Page.captureScreenshot", { format: "png", optimizeForSpeed: false });
    writeFileSync(join(folder, name), Buffer.from(data, "base64"));
  }
} finally {
  await stop();
}
process.exit(0);
