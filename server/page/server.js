// Requests to the server with this browser's token, and problems in words.

const KEY = 'clip2protect-token';
const GONE = { code: 'unreachable', title: 'The server does not answer: start it again, then try again' };

export const paired = () => localStorage.getItem(KEY) !== null;
export const forget = () => localStorage.removeItem(KEY);

/** Pair this browser by a code. */
export async function pair(code) {
  const body = JSON.stringify({ code, name: 'Web page' });
  const headers = { 'Content-Type': 'application/json' };
  const { token } = await read('json', '/v1/pair', { method: 'POST', body, headers });
  localStorage.setItem(KEY, token);
}

/**
 * A request with the token.  Throws {code, title, detail} for an answer that is a problem.  If the server does
 * not know this browser, the window gets an event `unpaired` with the words to show.
 */
export async function ask(path, options = {}) {
  const headers = { 'X-Clip2Protect': '1', ...options.headers };
  const token = localStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers }).catch(() => { throw GONE; });
  if (response.ok) return response;
  const unknown = { code: 'internal', title: `The server answered ${response.status}` };
  const problem = await response.json().catch(() => unknown);
  // Forget only the token that was refused: a newer one may have replaced it.
  if (problem.code === 'unpaired' && token === localStorage.getItem(KEY)) {
    forget();
    dispatchEvent(new CustomEvent('unpaired', { detail: token ? words(problem) : '' }));
  }
  throw problem;
}

/** The body of an answer.  One that breaks off counts as no answer. */
export async function read(kind, path, options) {
  const response = await ask(path, options);
  return response[kind]().catch(() => { throw GONE; });
}

/** A problem in one or two sentences. */
export const words = (problem) => (
  [problem.title ?? String(problem), problem.detail].filter(Boolean).join(': '));
