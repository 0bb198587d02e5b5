// Proofs that this browser and the server share a secret, which never travels.  `server/service/proofs.py`
// does the same; the server's page and the extension have the same copy of this module.

/** What both sides prove themselves by: the server's key only checks, ours only signs.
 * @typedef {{server: CryptoKey, client: CryptoKey}} Keys */

/** An open session.  Every proof names `words`: the address, the client and both nonces.
 * @typedef {{keys: Keys, words: string[], nonce: string, count: number, ends: number}} Session */

/** @typedef {(path: string, body: object) => Promise<any>} Post asks without a session */

const HMAC = { name: 'HMAC', hash: 'SHA-256' };
/** Rounds of PBKDF2 that are neither a joke nor an attack. */
const ROUNDS = [100_000, 2_000_000];
/** Requests of a session, and the part of its time that is used. */
const MOST = 4000, PART = 800;

const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
const textOf = (/** @type {ArrayBuffer | Uint8Array} */ data) => (
  btoa(String.fromCharCode(...new Uint8Array(data)))
    .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''));
const bytesOf = (/** @type {string} */ text) => (
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0)));

const makeNonce = () => textOf(crypto.getRandomValues(new Uint8Array(32)));
const isNonce = (/** @type {unknown} */ value) => typeof value === 'string' && /^[\w-]{43}$/.test(value);

/** @param {CryptoKey} key
 * @param {...string} parts
 * @returns {Promise<string>} */
async function prove(key, ...parts) {
  return textOf(await crypto.subtle.sign('HMAC', key, encode(parts.join('\n'))));
}

/** @param {CryptoKey} key
 * @param {unknown} proof
 * @param {...string} parts
 * @returns {Promise<boolean>} */
async function isProven(key, proof, ...parts) {
  return isNonce(proof) // a proof has as many letters
    && crypto.subtle.verify('HMAC', key, bytesOf(String(proof)), encode(parts.join('\n')));
}

/** The keys of a secret.  Nobody can read them out again.
 * @param {string} secret
 * @returns {Promise<Keys>} */
export async function keysOf(secret) {
  const whole = await crypto.subtle.importKey('raw', encode(secret), HMAC, false, ['sign']);
  const part = async (/** @type {string} */ side, /** @type {KeyUsage} */ usage) => {
    const raw = await crypto.subtle.sign('HMAC', whole, encode(side));
    return crypto.subtle.importKey('raw', raw, HMAC, false, [usage]);
  };
  return { server: await part('server', 'verify'), client: await part('client', 'sign') };
}

/** Pair by a code, which is not sent: the server proves first that it knows the code, then we do.
 * @param {string} code
 * @param {string} name
 * @param {string} host the server's address as this browser has it
 * @param {Post} post
 * @returns {Promise<{client: string, secret: string} | undefined>} undefined for a server that knows
 *   another code, or none */
export async function pairBy(code, name, host, post) {
  const ours = makeNonce();
  const { nonce, salt, rounds, proof } = await post('/v1/pair/challenge', { nonce: ours });
  if (!isNonce(nonce) || !isNonce(salt) || !(rounds >= ROUNDS[0] && rounds <= ROUNDS[1])) return undefined;
  const typed = encode(code.replace(/[\s-]/g, '').toUpperCase());
  const slow = { name: 'PBKDF2', hash: 'SHA-256', salt: encode(salt), iterations: rounds };
  const base = await crypto.subtle.importKey('raw', typed, 'PBKDF2', false, ['deriveBits']);
  const raw = await crypto.subtle.deriveBits(slow, base, 256);
  const key = await crypto.subtle.importKey('raw', raw, HMAC, false, ['sign', 'verify']);
  if (!(await isProven(key, proof, 'pair server', host, ours, nonce))) return undefined;
  const answer = await prove(key, 'pair client', host, ours, nonce);
  const { client } = await post('/v1/pair/proof', { nonce, name, proof: answer });
  return { client: String(client), secret: await prove(key, 'secret', ours, nonce) };
}

/** Begin a session.
 * @param {string} client
 * @param {Keys} keys
 * @param {string} host
 * @param {Post} post
 * @returns {Promise<Session | undefined>} undefined for a server that does not prove itself */
export async function beginSession(client, keys, host, post) {
  const ours = makeNonce();
  const { nonce, seconds, proof } = await post('/v1/session', { client, nonce: ours });
  const words = [host, client, ours, String(nonce)];
  if (!isNonce(nonce) || !(await isProven(keys.server, proof, 'session', ...words))) return undefined;
  return { keys, words, nonce, count: 0, ends: Date.now() + PART * Number(seconds) };
}

/** @param {Session} session */
export const isOpen = ({ count, ends }) => count < MOST && Date.now() < ends;

/** The next request of a session: its header, and what tells whether an answer is the server's.
 * @param {Session} session
 * @param {string} method
 * @param {string} target path and query
 * @returns {Promise<{header: string, isAnswer: (response: Response) => Promise<boolean>}>} */
export async function signRequest(session, method, target) {
  const { keys, words, nonce } = session, number = String(session.count);
  session.count += 1;
  const proof = await prove(keys.client, 'request', ...words, number, method, target);
  return {
    header: `Clip2Protect ${nonce}.${number}.${proof}`,
    isAnswer: (response) => {
      const given = response.headers.get('X-Clip2Protect-Proof');
      return isProven(keys.server, given, 'answer', ...words, number, String(response.status));
    },
  };
}
