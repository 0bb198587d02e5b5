// What the extension and the server's pages have twice, because they are shipped apart.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The colours of a style sheet in the light and in the dark: name -> value. */
function colorsOf(sheet) {
  const [light, dark] = [...sheet.matchAll(/:root \{([^}]*)\}/g)].map(([, body]) => (
    Object.fromEntries([...body.matchAll(/--([\w-]+): ([^;]+);/g)].map(([, name, value]) => [name, value]))));
  return { light, dark };
}

test('all style sheets have the same colours', () => {
  const ours = colorsOf(read('extension/src/common/colors.css'));
  assert.ok(Object.keys(ours.light).length > 10);
  assert.deepEqual(Object.keys(ours.light), Object.keys(ours.dark));
  for (const path of ['server/page/page.css', 'server/study/page.css']) {
    for (const [scheme, colors] of Object.entries(colorsOf(read(path)))) {
      assert.ok(Object.keys(colors).length > 7, path);
      for (const [name, value] of Object.entries(colors)) {
        assert.equal(value, ours[scheme][name], `${path} --${name}`);
      }
    }
  }
});

test('no other style sheet of the extension has colours of its own', () => {
  const names = ['common/pages', 'dialog/dialog', 'options/options', 'popup/popup', 'onboarding/onboarding'];
  for (const name of names) {
    assert.doesNotMatch(read(`extension/src/${name}.css`), /--(?!cut)[\w-]+: #/, name);
  }
});

test('both pages look closer at photos in the same way', () => {
  assert.equal(read('server/page/zoom.js'), read('extension/src/common/zoom.js'));
});

test('both sliders are the same function', () => {
  const slider = (path) => /\/\*\* Let a slider[^]*?\n\}\n/.exec(read(path))[0];
  assert.equal(slider('server/page/parts.js'), slider('extension/src/common/slider.js'));
});

test('both sides of the proofs are the same module', () => {
  assert.equal(read('server/page/proof.js'), read('extension/src/background/proof.js'));
});
