// A closer look: what of a photo lies in the frame.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { faceView, moved, WHOLE, zoomed } from '../src/common/zoom.js';

const near = (view, expected) => {
  for (const key of ['zoom', 'x', 'y']) {
    assert.ok(Math.abs(view[key] - expected[key]) < 1e-9, JSON.stringify(view));
  }
};
/** Where a place of the photo (0 to 1) lies in the frame. */
const placed = (view, at) => [view.x + view.zoom * at[0], view.y + view.zoom * at[1]];
const SAMPLES = [
  [100, 100, 200, 250], [0, 0, 50, 60], [1900, 900, 2000, 1000], [10, 10, 1990, 990], [5, 5, 6, 7],
];

test('a face lies in the middle, and takes half of the frame', () => {
  near(faceView([900, 400, 1100, 600], 2000, 1000), { zoom: 2.5, x: -0.75, y: -0.75 });
});

test('a face is in the frame wherever it lies, and the photo fills the frame', () => {
  for (const [left, top, right, bottom] of SAMPLES) {
    const view = faceView([left, top, right, bottom], 2000, 1000);
    assert.ok(view.zoom >= 1 && view.zoom <= 24);
    for (const corner of [[left, top], [right, bottom]]) {
      for (const value of placed(view, [corner[0] / 2000, corner[1] / 1000])) {
        assert.ok(value > -1e-9 && value < 1 + 1e-9);
      }
    }
    for (const key of ['x', 'y']) assert.ok(view[key] <= 0 && view[key] >= 1 - view.zoom, key);
  }
});

test('a face that fills the photo is shown as the whole photo', () => {
  near(faceView([0, 0, 900, 900], 1000, 1000), WHOLE);
});

test('zooming keeps the place under the pointer', () => {
  const view = faceView([900, 400, 1100, 600], 2000, 1000), at = [0.3, 0.6];
  const photo = (each) => [(at[0] - each.x) / each.zoom, (at[1] - each.y) / each.zoom];
  const closer = zoomed(view, 2, at);
  assert.equal(closer.zoom, 5);
  photo(view).forEach((value, i) => assert.ok(Math.abs(value - photo(closer)[i]) < 1e-9));
});

test('zooming ends at the whole photo and at the closest look', () => {
  near(zoomed({ zoom: 1.2, x: -0.2, y: 0 }, 0.5), WHOLE);
  assert.equal(zoomed(WHOLE, 1000).zoom, 24);
});

test('moving ends at the edges', () => {
  near(moved({ zoom: 2, x: -0.5, y: -0.5 }, 9, -9), { zoom: 2, x: 0, y: -1 });
  near(moved(WHOLE, 0.5, 0.5), WHOLE);
});
