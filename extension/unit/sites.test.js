// Sites, their rules, and what people type for them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  entryOf, exceptionsOf, hostIn, loopbackOrigin, patternsOf, rootsOf, ruleOf, siteOf, SITES,
} from '../src/common/sites.js';

test('a host belongs to the nearest entry above it', () => {
  const sites = { 'a.example': 1, 'b.a.example': 2 };
  const entries = {
    'a.example': 'a.example', 'x.a.example': 'a.example', 'b.a.example': 'b.a.example',
    'x.b.a.example': 'b.a.example', 'ba.example': 'ba.example', example: 'example', '': '',
  };
  for (const [host, entry] of Object.entries(entries)) assert.equal(entryOf(sites, host), entry, host);
  assert.equal(entryOf({}, 'toString'), 'toString', 'what every object has is no entry');
});

test('a host without a rule is left alone', () => {
  const sites = { 'a.example': 'ask', 'off.a.example': 'never', 'on.off.a.example': 'always' };
  const rules = { ...sites, 'x.a.example': 'ask', 'b.example': 'never', constructor: 'never' };
  for (const [host, rule] of Object.entries(rules)) assert.equal(ruleOf(sites, host), rule, host);
});

test('patterns match hosts below a name, but not below an address in numbers', () => {
  assert.deepEqual(patternsOf('a.example'), ['*://*.a.example/*']);
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    assert.deepEqual(patternsOf(host), [`*://${host}/*`]);
  }
});

test('a host below one that is on needs no scripts of its own', () => {
  assert.deepEqual(rootsOf(['a.example', 'b.a.example', 'ba.example']), ['a.example', 'ba.example']);
  const here = ['localhost', 'a.localhost']; // the first pattern does not match hosts below it
  assert.deepEqual(rootsOf(here), here);
});

test('hosts below a site that are off are excepted', () => {
  const sites = { 'b.a.example': 'never', 'c.a.example': 'always', 'ba.example': 'never' };
  assert.deepEqual(exceptionsOf(sites, 'a.example'), ['b.a.example']);
});

test('a site is one that has a rule, a well-known one, or the host without www', () => {
  assert.equal(siteOf({ 'm.facebook.com': 'ask' }, 'm.facebook.com'), 'm.facebook.com');
  assert.equal(siteOf({}, 'm.facebook.com'), 'facebook.com');
  assert.equal(siteOf({}, 'www.example.com'), 'example.com');
  assert.equal(siteOf({}, 'blog.example.com'), 'blog.example.com');
});

test('every well-known host is a name that can be typed', () => {
  for (const host of Object.values(SITES).flat()) assert.equal(hostIn(host), host);
});

test('the host is found in what people type and paste', () => {
  const hosts = {
    'example.com': 'example.com', '  https://www.Example.com:8080/a/b?c#d ': 'www.example.com',
    'example.com.': 'example.com', 'http://a.b.example': 'a.b.example',
    'bücher.example': 'xn--bcher-kva.example', localhost: 'localhost',
  };
  for (const [text, host] of Object.entries(hosts)) assert.equal(hostIn(text), host, text);
});

test('what is no site is refused', () => {
  const texts = ['', 'com', 'a b', 'file:///etc/passwd', 'chrome://settings', '*.com', 'https://'];
  for (const text of texts) {
    assert.equal(hostIn(text), '', text);
  }
});

test('the server is on this machine or nowhere', () => {
  assert.equal(loopbackOrigin('http://127.0.0.1:8765/x'), 'http://127.0.0.1:8765');
  assert.equal(loopbackOrigin('http://localhost'), 'http://localhost');
  for (const address of [
    'http://192.0.2.1:8765', 'https://example.org', 'http://127.0.0.1.example.org', 'https://127.0.0.1:8765',
    'nonsense', '', 'http://127.0.0.1@example.org', 'http://localhost.example.org', 'http://0.0.0.0',
  ]) assert.equal(loopbackOrigin(address), '', address);
});
