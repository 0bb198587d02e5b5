// Rules for kinds of photos.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { applyRules, KINDS, kindOf, needCount, rulesFor, textOf } from '../src/common/photo-rules.js';

const rule = (more) => ({ site: '', least: 0, most: 0, level: '', faces: '', ...more });
const CHOICE = { prompt: 'goth', level: 'balanced', faces: 'all' };
const applied = (rules, count) => {
  const { prompt, level, faces } = applyRules(rules.map(rule), CHOICE, count);
  assert.equal(prompt, 'goth');
  return `${level} ${faces}`;
};

test('a rule without a site is for every site, one with a site for the site and hosts below it', () => {
  const [all, site] = [rule({ level: 'strong' }), rule({ site: 'a.example', level: 'strong' })];
  assert.deepEqual(rulesFor([all, site], 'a.example'), [all, site]);
  assert.deepEqual(rulesFor([all, site], 'www.a.example'), [all, site]);
  for (const host of ['b.example', 'example', 'ba.example', 'a.example.org']) {
    assert.deepEqual(rulesFor([all, site], host), [all]);
  }
});

test('faces are counted only where a rule depends on their number', () => {
  assert.equal(needCount([]), false);
  assert.equal(needCount([rule({ level: 'strong' })]), false);
  assert.equal(needCount([rule({ level: 'strong' }), rule({ least: 2 })]), true);
  assert.equal(needCount([rule({ most: 1 })]), true);
});

test('a rule counts from its least to its most faces', () => {
  for (const [limits, counts] of [
    [{}, { 0: true, 1: true, 99: true }],
    [{ least: 6 }, { 0: false, 5: false, 6: true, 99: true }],
    [{ least: 1, most: 1 }, { 0: false, 1: true, 2: false }],
    [{ most: 2 }, { 0: true, 2: true, 3: false }],
  ]) {
    for (const [count, fits] of Object.entries(counts)) {
      const result = applied([{ ...limits, level: 'strong' }], Number(count));
      assert.equal(result, fits ? 'strong all' : 'balanced all');
    }
  }
});

test('the later of two rules wins, each for what it names', () => {
  const rules = [{ level: 'strong' }, { faces: 'mine', least: 6 }, { level: 'subtle', least: 7 }];
  const results = [5, 6, 7].map((count) => applied(rules, count));
  assert.deepEqual(results, ['strong all', 'strong mine', 'subtle mine']);
  assert.equal(CHOICE.level, 'balanced', 'the choice itself is not changed');
});

test('every kind has a name, and other numbers are "more than"', () => {
  const name = (least, most) => kindOf(rule({ least, most }));
  for (const [kind, [least, most]] of Object.entries(KINDS)) assert.equal(name(least, most), kind);
  for (const [least, most] of [[3, 0], [1, 0], [7, 7]]) assert.equal(name(least, most), 'more');
});

test('rules that say the same have the same text', () => {
  const same = textOf({ faces: '', level: 'strong', most: 0, least: 0, site: '' });
  assert.equal(same, textOf(rule({ level: 'strong' })));
  for (const other of [{ site: 'a' }, { least: 1 }, { most: 1 }, { level: 'a' }, { faces: 'a' }]) {
    assert.notEqual(textOf(rule(other)), textOf(rule({})));
  }
});
