// The browser's side of the proofs, against servers that are none.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { beginSession, isOpen, keysOf, pairBy, signRequest } from '../src/background/proof.js';

const HOST = '127.0.0.1:8765', CLIENT = 'client-1', SECRET = 's'.repeat(43), NONCE = 'n'.repeat(43);
const HMAC = { name: 'HMAC', hash: 'SHA-256' };
const encode = (text) => new TextEncoder().encode(text);
const mac = async (raw, text) => {
  const key = await crypto.subtle.importKey('raw', raw, HMAC, false, ['sign']);
  return Buffer.from(await crypto.subtle.sign('HMAC', key, encode(text)));
};
const lines = (...parts) => parts.join('\n');

/** The real server's answer for an address and a client's nonce. */
async function offer(host, theirs, secret = SECRET) {
  const words = lines('session', host, CLIENT, theirs, NONCE);
  const proof = (await mac(await mac(encode(secret), 'server'), words)).toString('base64url');
  return { nonce: NONCE, seconds: 300, proof };
}

/** Begin a session with a server, and note what it was told. */
async function begin(answer) {
  const told = [];
  const post = (path, body) => { told.push([path, body]); return answer(body.nonce); };
  const session = await beginSession(CLIENT, await keysOf(SECRET), HOST, post);
  return { session, told };
}

test('the real server is believed, and its answers are', async () => {
  const { session, told } = await begin((theirs) => offer(HOST, theirs));
  assert.deepEqual(Object.keys(told[0][1]), ['client', 'nonce']);
  assert.ok(isOpen(session));
  const { header, isAnswer } = await signRequest(session, 'GET', '/v1/levels?x=1');
  const [scheme, words] = header.split(' '), [nonce, number, proof] = words.split('.');
  assert.deepEqual([scheme, nonce, number], ['Clip2Protect', NONCE, '0']);
  const signed = lines('request', ...session.words, '0', 'GET', '/v1/levels?x=1');
  assert.equal(proof, (await mac(await mac(encode(SECRET), 'client'), signed)).toString('base64url'));
  const said = lines('answer', ...session.words, '0', '200');
  const right = (await mac(await mac(encode(SECRET), 'server'), said)).toString('base64url');
  const response = (given, status = 200) => (
    new Response('', { status, headers: given ? { 'X-Clip2Protect-Proof': given } : {} }));
  assert.equal(await isAnswer(response(right)), true);
  const wrong = [response(), response(right, 201), response(proof), response('x'), response('ü'.repeat(43))];
  for (const other of wrong) {
    assert.equal(await isAnswer(other), false);
  }
  const next = await signRequest(session, 'GET', '/v1/levels?x=1');
  assert.equal(await next.isAnswer(response(right)), false, 'an answer is of one request');
});

const recorded = await offer(HOST, 'r'.repeat(43));
for (const [what, answer] of Object.entries({
  'accepts everything': () => ({ nonce: NONCE, seconds: 300, proof: NONCE }),
  'says nothing': () => ({}),
  'says what is no text': () => ({ nonce: [NONCE], seconds: 'x', proof: { length: 43 } }),
  'replays what it has recorded': () => recorded,
  'relays to the real server at another port': (theirs) => offer('127.0.0.1:9000', theirs),
  'relays to the real server under another name': (theirs) => offer('localhost:8765', theirs),
  'has the secret of another client': (theirs) => offer(HOST, theirs, 't'.repeat(43)),
  'gives back our own nonce as a proof': (theirs) => ({ nonce: theirs, seconds: 300, proof: theirs }),
})) {
  test(`a server that ${what} is not believed`, async () => {
    const { session, told } = await begin(answer);
    assert.equal(session, undefined);
    assert.equal(told.length, 1);
    assert.ok(!JSON.stringify(told).includes(SECRET));
  });
}

/** Pair with a server that knows this code. */
async function pairWith(code, typed, options = {}) {
  const { host = HOST, rounds = 600_000 } = options;
  const told = [], salt = 'a'.repeat(43);
  const base = await crypto.subtle.importKey('raw', encode(code), 'PBKDF2', false, ['deriveBits']);
  const iterations = rounds <= 1e6 ? rounds : 1;
  const slow = { name: 'PBKDF2', hash: 'SHA-256', salt: encode(salt), iterations };
  const key = await crypto.subtle.deriveBits(slow, base, 256);
  const made = await pairBy(typed, 'Browser', HOST, async (path, body) => {
    told.push(body);
    if (path !== '/v1/pair/challenge') return { client: CLIENT };
    const proof = (await mac(key, lines('pair server', host, body.nonce, NONCE))).toString('base64url');
    return { nonce: NONCE, salt, rounds, proof };
  });
  return { made, told, key };
}

test('pairing leaves the same secret on both sides, and neither it nor the code is said', async () => {
  const { made, told, key } = await pairWith('ABCDEFGHJK', ' abcde-fghjk ');
  const secret = (await mac(key, lines('secret', told[0].nonce, NONCE))).toString('base64url');
  assert.deepEqual(made, { client: CLIENT, secret });
  const proof = (await mac(key, lines('pair client', HOST, told[0].nonce, NONCE))).toString('base64url');
  assert.deepEqual(told[1], { nonce: NONCE, name: 'Browser', proof });
  assert.ok(!/ABCDE/i.test(JSON.stringify(told)) && !JSON.stringify(told).includes(secret));
});

for (const [what, options] of Object.entries({
  'does not know the code': { typed: 'ABCDEFGHJL' },
  'relays to the real one at another port': { host: '127.0.0.1:9000' },
  'wants a key that is quickly guessed': { rounds: 1 },
  'wants a key that takes for ever': { rounds: 1e15 },
  'wants no number': { rounds: 'x' },
})) {
  test(`a server that ${what} gets no proof of the code`, async () => {
    const { made, told } = await pairWith('ABCDEFGHJK', options.typed ?? 'ABCDEFGHJK', options);
    assert.equal(made, undefined);
    assert.deepEqual(told.map(Object.keys), [['nonce']]);
  });
}

test('the keys cannot be read out, and each does one thing', async () => {
  for (const [side, usage] of [['server', 'verify'], ['client', 'sign']]) {
    const key = (await keysOf(SECRET))[side];
    assert.deepEqual(key.usages, [usage]);
    await assert.rejects(crypto.subtle.exportKey('raw', key));
  }
});
