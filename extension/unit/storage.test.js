// Kept values that are missing or come from an older version.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { completed } from '../src/common/storage.js';

test('nothing kept gives the initial value, a new copy each time', () => {
  const server = { address: 'http://127.0.0.1:8765', token: '', client: '', secret: '' };
  assert.deepEqual(completed('server', undefined), server);
  completed('rules', undefined).push('x');
  completed('sites', undefined).x = 'ask';
  completed('defaults', undefined).level = 'strong';
  assert.deepEqual([completed('rules', undefined), completed('sites', undefined)], [[], {}]);
  assert.deepEqual(completed('defaults', undefined), { prompt: '', level: '', faces: '' });
});

test('what an older version did not keep is added', () => {
  const kept = { prompt: 'goth', level: 'strong' };
  assert.deepEqual(completed('defaults', kept), { ...kept, faces: '' });
});

test('lists stay lists, and what was kept is not shared', () => {
  const kept = [{ site: 'a' }], rules = completed('rules', kept);
  rules[0].site = 'b';
  assert.deepEqual(kept, [{ site: 'a' }]);
  assert.ok(Array.isArray(rules));
});
