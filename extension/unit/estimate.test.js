// The time that is left, from the photos before and from the progress.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Countdown, leftInWords, leftOf, paceOf } from '../src/dialog/estimate.js';
import { speak } from './texts.js';

test('a face usually takes the median of the latest', () => {
  assert.equal(paceOf([]), undefined);
  assert.deepEqual([[3], [9, 1], [9, 1, 2]].map(paceOf), [3, 5, 2]);
});

test('before anything is known, nothing is said', () => {
  assert.equal(leftOf(undefined, 5, 0), undefined);
  assert.equal(leftOf(undefined, 5, 0.01), undefined);
  assert.equal(leftOf(undefined, 5, 0.25), 15);
});

test('at first the photos before count, later the progress alone', () => {
  assert.equal(leftOf(12, 0, 0), 12);
  assert.equal(leftOf(12, 20, 0.5), 20);
  const early = leftOf(12, 2, 0.1); // 12 - 2 = 10 by the photos before, 18 by the progress
  assert.ok(early > 10 && early < 18, String(early));
  assert.equal(leftOf(12, 30, 0), 0, 'never less than nothing');
});

test('on a machine three times as slow, the estimate is right before half of the time has gone', () => {
  for (const progress of [0.35, 0.5, 0.9]) {
    const left = leftOf(12, 36 * progress, progress);
    assert.ok(Math.abs(left - 36 * (1 - progress)) < 0.01, String(progress));
  }
});

test('a countdown counts, and follows a new estimate without a jump', () => {
  const countdown = new Countdown();
  assert.equal(countdown.follow(undefined, 0), undefined);
  assert.equal(countdown.follow(20, 1), 20);
  assert.ok(Math.abs(countdown.follow(19.5, 1.5) - 19.5) < 1e-9);
  const next = countdown.follow(60, 2);
  assert.ok(next > 19 && next < 26, String(next));
  let last = next;
  for (let time = 2.5; time < 30; time += 0.5) {
    const now = countdown.follow(60, time);
    assert.ok(Math.abs(now - last) < 6);
    last = now;
  }
  assert.ok(last > 55 && last <= 60, 'it gets there');
  assert.equal(countdown.follow(undefined, 31), undefined);
  assert.equal(countdown.follow(3, 40), 3, 'a new work begins anew');
});

test('seconds are told no more exactly than they are known', () => {
  const words = (locale) => {
    speak(locale);
    return [0, 3.9, 12.4, 19.6, 33, 57, 59, 62, 90, 300].map(leftInWords);
  };
  assert.deepEqual(words('en'), [
    'a few seconds left', 'a few seconds left', 'about 12 s left', 'about 20 s left', 'about 35 s left',
    'about 55 s left', 'about a minute left', 'about a minute left', 'about 2 min left', 'about 5 min left',
  ]);
  assert.equal(words('de')[2], 'noch etwa 12 s');
});
