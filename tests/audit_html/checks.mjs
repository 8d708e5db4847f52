// What a person needs of the page of an audit, checked in a browser:
//   node checks.mjs SAMPLE.html HOSTILE.html
// The first is an audit as it is, the second one whose fields all try to break out.
import assert from "node:assert/strict";
import { start } from "./browser.mjs";
import { contrasts } from "./contrast.mjs";

const [sample, hostile] = process.argv.slice(2);
const TAB = { virtual: 9 };
const SPACE = { code: "Space", text: " ", virtual: 32 };

const shown = (page, selector) => page.value((of) => {
  const all = [...document.querySelectorAll(of)];
  return all.filter((element) => element.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true })).length;
}, selector);

// Presses Tab until what has the focus matches the selector.
async function tabTo(page, selector) {
  for (let pressed = 0; pressed < 80; pressed += 1) {
    await page.press("Tab", TAB);
    if (await page.value((of) => document.activeElement.matches(of), selector)) {
      const outline = await page.value("getComputedStyle(document.activeElement).outlineStyle");
      assert.notEqual(outline, "none", `the focus on ${selector} cannot be seen`);
      return;
    }
  }
  assert.fail(`Tab does not reach ${selector}`);
}

const checks = {
  async "one section is shown, the one that the address names"(page) {
    for (const [hash, id] of [["", "fleet"], ["host-web1", "host-web1"], ["control-S4", "controls"], ["fleet", "fleet"]]) {
      await page.go(hash);
      const pages = await page.value(() => [...document.querySelectorAll(".page")]
        .filter((section) => section.checkVisibility()).map((section) => section.id));
      assert.deepEqual(pages, [id], `#${hash}`);
    }
    await page.go("all");
    assert.equal(await shown(page, ".page"), 6);
  },

  async "controls are filtered by keyboard"(page) {
    await page.go("fleet");
    await page.go("host-web1");
    const rows = () => shown(page, "#host-web1 tr[data-s]");
    const told = () => page.value("document.querySelector('#filter output').textContent");
    assert.equal(await rows(), 12);
    await tabTo(page, "#host-web1 #filter input[value=pass]");
    await page.press(" ", SPACE);
    assert.equal(await rows(), 6);
    assert.equal(await told(), "6 of 12 controls shown");
    await tabTo(page, "#filter select[name=severity]");
    await page.press("c", { code: "KeyC", text: "c", virtual: 67 });
    assert.equal(await page.value("document.activeElement.value"), "critical");
    assert.equal(await rows(), 2);
    await tabTo(page, "#filter input[type=search]");
    await page.send("Input.insertText", { text: "RANDOMISED" });
    assert.equal(await told(), "1 of 12 controls shown");
    await page.press("Enter", { text: "\r", virtual: 13 });
    assert.equal(await rows(), 1);
    await tabTo(page, "#filter button[type=reset]");
    await page.press("Enter", { text: "\r", virtual: 13 });
    await page.value("new Promise((resolve) => setTimeout(resolve, 20))");
    assert.equal(await told(), "12 of 12 controls shown");
  },

  async "the filter of hosts finds them by name and system"(page) {
    await page.go("fleet");
    await page.value("document.querySelector('#find input').focus()");
    await page.send("Input.insertText", { text: "größe" });
    assert.equal(await shown(page, "tr[data-host]"), 1);
    assert.equal(await page.value("document.querySelector('#find output').textContent"), "1 of 4 hosts shown");
    await page.value("document.querySelector('#find').reset()");
    await page.value("new Promise((resolve) => setTimeout(resolve, 20))");
    assert.equal(await shown(page, "tr[data-host]"), 4);
  },

  async "the link over the pages keeps the section and moves the focus"(page) {
    await page.go("host-web2");
    await page.value("document.querySelector('.skip').click()");
    assert.equal(await page.value("location.hash + ' ' + document.activeElement.textContent"), "#host-web2 web2");
  },

  async "light and dark differ, and text has contrast in both"(page) {
    const grounds = new Set();
    for (const scheme of ["light", "dark"]) {
      await page.media(scheme);
      grounds.add(await page.value("getComputedStyle(document.body).backgroundColor"));
      for (const hash of ["fleet", "host-web1", "host-db1", "control-S1"]) {
        await page.go(hash);
        const { checked, low } = await page.value(contrasts);
        assert.ok(checked > 10, `${scheme} #${hash}: only ${checked} texts`);
        assert.deepEqual(low, [], `${scheme} #${hash}`);
      }
    }
    assert.equal(grounds.size, 2);
    await page.media("light");
  },

  async "evidence is folded away on a screen and printed"(page) {
    await page.go("host-web1");
    const all = await page.value("document.querySelectorAll('#host-web1 pre').length");
    assert.ok(all > 5);
    assert.equal(await shown(page, "#host-web1 pre"), 0);
    await page.media("dark", "print");
    assert.equal(await shown(page, "#host-web1 pre"), all);
    assert.equal(await shown(page, "nav"), 0);
    assert.equal(await page.value("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
    assert.deepEqual((await page.value(contrasts)).low, []);
    const { data } = await page.send("Page.printToPDF", { printBackground: true });
    assert.ok(data.length > 10_000);
    await page.media("light");
  },

  async "a screen reader finds landmarks, headings, tables and labels"(page) {
    for (const hash of ["fleet", "host-web1", "controls"]) {
      await page.go(hash);
      const { nodes } = await page.send("Accessibility.getFullAXTree");
      const seen = nodes.filter((node) => !node.ignored);
      const of = (role) => seen.filter((node) => node.role?.value === role);
      for (const role of ["main", "banner", "contentinfo", "navigation"]) assert.equal(of(role).length, 1, `${hash}: ${role}`);
      const levels = of("heading").map((node) => node.properties.find(({ name }) => name === "level").value.value);
      levels.reduce((before, level) => {
        assert.ok(level <= before + 1, `${hash}: headings ${levels}`);
        return level;
      }, 0);
      assert.equal(levels.filter((level) => level === 1).length, 1);
      const named = ["table", "region", "textbox", "searchbox", "combobox", "checkbox", "button", "link", "image", "search", "group"];
      for (const role of named) {
        // What is folded is a group without a name of its own.
        const nameless = of(role).filter((node) => !node.name?.value && role !== "group");
        assert.deepEqual(nameless, [], `${hash}: a ${role} has no name`);
      }
      if (hash === "controls") continue;
      assert.ok(of("table").length >= 1, `${hash}: no table`);
      assert.ok(of("columnheader").length >= 5 && of("rowheader").length >= 4, `${hash}: a table without heads`);
      assert.ok(of("status").length >= 1, `${hash}: no live region`);
    }
  },

  async "without a script all of it is there"(page) {
    await page.send("Emulation.setScriptExecutionDisabled", { value: true });
    await page.open(sample);
    assert.equal(await shown(page, "#fleet"), 1);
    assert.equal(await shown(page, "form"), 0);
    await page.open(sample, "#host-web1");
    assert.equal(await shown(page, "#fleet"), 0);
    assert.equal(await shown(page, "#host-web1 tr[data-s]"), 12);
    await page.send("Emulation.setScriptExecutionDisabled", { value: false });
  },
};

const LIMIT = 120_000;
setTimeout(() => {
  console.log("FAILED: the checks take too long");
  process.exit(1);
}, LIMIT).unref();

const { page, stop } = await start();
const failed = [];
try {
  await page.open(sample);
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check(page);
      console.log(`ok: ${name}`);
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
  }
  await hostilePage();
} finally {
  await stop();
}
for (const failure of failed) console.log(`FAILED: ${failure}`);
process.exit(failed.length ? 1 : 0);

// Last, as it makes errors of its own: nothing of a host runs, and were there a gap,
// the page's policy would stop it.
async function hostilePage() {
  try {
    await page.open(hostile);
    for (const hash of ["fleet", "all", "controls"]) {
      await page.go(hash);
      const title = await page.value("document.title");
      assert.ok(title.startsWith("Audit of site.toml") && title !== "XSS", title);
      const strange = await page.value(() => [...document.querySelectorAll("*")].filter((element) =>
        ["IMG", "IFRAME", "OBJECT", "EMBED", "LINK", "BASE"].includes(element.tagName)
        || [...element.attributes].some(({ name }) => name.startsWith("on") || name === "style" || name === "autofocus")
        || (element.href !== undefined && element.tagName === "A" && !element.getAttribute("href").startsWith("#")))
        .map((element) => element.outerHTML.slice(0, 200)));
      assert.deepEqual(strange, []);
    }
    assert.deepEqual(page.errors, [], "the console has errors");
    assert.deepEqual(page.requests.filter((url) => !url.startsWith("file:")), [], "the network was asked");
    assert.equal(await page.value("document.querySelectorAll('script').length"), 1);
    const stopped = await page.value(() => new Promise((resolve) => {
      const stopped = [];
      document.addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
      document.body.insertAdjacentHTML("beforeend",
        "<img src='http://192.0.2.1/x' onerror=\"document.title='XSS'\"><p style='color:red' onclick=\"document.title='XSS'\">x");
      document.body.lastElementChild.click();
      const script = document.createElement("script");
      script.textContent = "document.title = 'XSS'";
      document.body.append(script);
      setTimeout(() => resolve([...new Set(stopped)].sort()), 300);
    }));
    assert.deepEqual(stopped, ["img-src", "script-src-attr", "script-src-elem", "style-src-attr"]);
    assert.notEqual(await page.value("document.title"), "XSS");
    console.log("ok: hostile text runs nowhere");
  } catch (error) {
    failed.push(`hostile text runs nowhere: ${error.stack}`);
  }
}
