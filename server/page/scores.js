// The recognisers' verdicts on a face, before and after, as a table and in words.

import { make } from './parts.js';

/** A section with a table of all recognisers' verdicts on one face. */
export function scores(face, number, count) {
  const entries = Object.entries(face.recognisers);
  const title = (textContent) => make('th', { scope: 'col', textContent });
  const titles = ['Recogniser', 'Before', 'After'].map(title);
  const head = make('thead', {}, make('tr', {}, ...titles));
  const table = make('table', {}, head, make('tbody', {}, ...entries.map(scoreRow)));
  table.ariaLabel = `Verdicts of the recognisers on face ${number}, before and after`;
  const which = count > 1 ? `Face ${number} of ${count}. ` : '';
  const lost = face.found_after === false ? ' The detector no longer finds a face here.' : '';
  const change = `${which}Change: PSNR ${face.psnr.toFixed(1)} dB (higher is less visible).${lost}`;
  const heading = make('h3', { textContent: summary(entries.map(([, r]) => r)) });
  const text = make('div', {}, heading, make('p', { className: 'quiet', textContent: change }));
  const crop = make('canvas', { width: 96, height: 96, ariaHidden: 'true', hidden: true });
  return make('section', {}, make('div', { className: 'face-head' }, crop, text), table);
}

/** What the recognisers say of all faces of a photo. */
export function verdict(faces) {
  const all = faces.flatMap((face) => Object.values(face.recognisers));
  if (!all.length) return '';
  const many = faces.length > 1 ? `${faces.length} faces` : '1 face';
  const [before, after] = ['matched_before', 'matched_after'].map((key) => all.filter((r) => r[key]).length);
  const [now, count] = [after ? `${after} of ${all.length}` : 'none', all.length];
  return `${many} protected. Before protection, ${before} of ${count} recognisers matched. After it, ${now}.`;
}

function summary(results) {
  if (!results.some((r) => r.matched_before || r.matched_after)) {
    return 'No recogniser here matched this face, before or after';
  }
  const still = results.filter((r) => r.matched_after).length;
  if (!still) return 'No recogniser here matches this face any more';
  return `${still} of ${results.length} recognisers still ${still === 1 ? 'matches' : 'match'} this face`;
}

function scoreRow([name, r]) {
  const [measure, side] = r.metric === 'cosine' ? ['Similarity', 'above'] : ['Distance', 'below'];
  const limit = make('small', { textContent: `${measure}, matches ${side} ${r.threshold.toFixed(3)}` });
  const head = make('th', { scope: 'row' }, name, limit);
  if (!r.surrogate) head.firstChild.after(' ', make('span', { className: 'tag', textContent: 'held out' }));
  const cell = (value, text, className) => (
    make('td', {}, value.toFixed(3).replace('-', '−'), make('span', { className }, text)));
  const verdict = r.matched_before
    ? (r.matched_after ? 'still matches' : 'no longer matches')
    : (r.matched_after ? 'matches now' : 'does not match');
  return make('tr', {}, head, cell(r.before, r.matched_before ? 'matches' : 'does not match', ''),
    cell(r.after, verdict, r.matched_after ? 'still' : 'good'));
}
