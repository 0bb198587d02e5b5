// Talking to the server: requests with this browser's token, and what goes wrong in words.

const KEY = 'clip2protect-token';
const GONE = { code: 'unreachable', title: 'The server does not answer: start it again, then try again' };

export const paired = () => localStorage.getItem(KEY) !== null;
export const forget = () => localStorage.removeItem(KEY);

/** Pair this browser by a code. */
export async function pair(code) {
  const body = JSON.stringify({ code, name: 'Web page' });
  const { token } = await read('json', '/v1/pair', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
  localStorage.setItem(KEY, token);
}

/**
 * A request with the token.  Throws {code, title, detail} for an answer that is a problem; where the server does not
 * know this browser, the window hears of it as `unpaired`, with what is to be told.
 */
export async function ask(path, options = {}) {
  const headers = { 'X-Clip2Protect': '1', ...options.headers };
  const token = localStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers }).catch(() => { throw GONE; });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ code: 'internal', title: `The server answered ${response.status}` }));
  // Only the token that was refused is forgotten: there may be a newer one by now.
  if (problem.code === 'unpaired' && token === localStorage.getItem(KEY)) {
    forget();
    dispatchEvent(new CustomEvent('unpaired', { detail: token ? words(problem) : '' }));
  }
  throw problem;
}

/** What a request is answered with, read to its end; an answer that breaks off is none. */
export async function read(kind, path, options) {
  const response = await ask(path, options);
  return response[kind]().catch(() => { throw GONE; });
}

/** A problem as a sentence or two. */
export const words = (problem) => [problem.title ?? String(problem), problem.detail].filter(Boolean).join(': ');
