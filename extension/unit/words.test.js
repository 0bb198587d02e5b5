// Choices, results, errors and times in words, in both languages.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { entriesOf, OWN } from '../src/common/choice-lists.js';
import { TroubleError, troubleOf } from '../src/common/errors.js';
import { say, wordsOf } from '../src/common/i18n.js';
import { clock, countMatches, facesInWords, verdictOf } from '../src/dialog/verdict.js';
import { agoIn } from '../src/popup/ago.js';
import { speak } from './texts.js';

const PRESETS = { natural: 'a natural look', goth: 'goth makeup' };
const PROMPTS = { default: 'natural', auto: 'auto', none: 'none', presets: PRESETS };
const LEVELS = {
  default: 'balanced', levels: ['subtle', 'balanced', 'strong'], modes: [], faces: ['all', 'largest', 'mine'],
};
const LOOKS = { prompts: PROMPTS, levels: LEVELS, enrolled: 0 };
const face = (...after) => {
  const verdicts = after.map((matched, i) => [i, { matched_before: true, matched_after: matched }]);
  return { recognisers: Object.fromEntries(verdicts) };
};

speak('en');

test('without a choice the lists show the server\'s defaults', () => {
  const { look, level, faces, chosen } = entriesOf(LOOKS, { prompt: '', level: '', faces: '' });
  assert.deepEqual(look.map(([value]) => value), ['natural', 'goth', 'auto', 'none', OWN]);
  assert.deepEqual(look[1], ['goth', 'Goth makeup']);
  assert.deepEqual(level.map(([value]) => value), LEVELS.levels);
  assert.deepEqual(faces.map(([value]) => value), LEVELS.faces);
  assert.deepEqual(chosen, { look: 'natural', level: 'balanced', faces: 'all' });
});

test('a choice is shown, and words that are no look are the user\'s own', () => {
  for (const [prompt, look] of [['goth', 'goth'], ['auto', 'auto'], ['none', 'none'], ['red lips', OWN]]) {
    const { chosen } = entriesOf(LOOKS, { prompt, level: 'strong', faces: 'mine' });
    assert.deepEqual(chosen, { look, level: 'strong', faces: 'mine' });
  }
});

test('matches are counted over all faces', () => {
  const two = { faces: [face(true, false), face(false)] };
  assert.deepEqual(countMatches(two), { before: 3, after: 1, recognisers: 3 });
  assert.deepEqual(countMatches({ faces: [] }), { before: 0, after: 0, recognisers: 0 });
  assert.deepEqual(countMatches(undefined), { before: 0, after: 0, recognisers: 0 });
});

test('a verdict names the faces, the matches and who stays as they are', () => {
  const found = (count) => Array.from({ length: count }, () => ({ box: [], mine: null }));
  const one = { faces: [face(false, false, true)] };
  assert.match(verdictOf(one, found(1)), /^1 face protected\. .*3 of 3.* 1 of 3/);
  assert.match(verdictOf({ faces: [face(false), face(false)] }, undefined), /^2 faces protected\./);
  assert.ok(verdictOf({ faces: [face(false)] }, found(2)).endsWith(say('other_stays', 1)));
  assert.ok(verdictOf({ faces: [face(false)] }, found(4)).endsWith(say('others_stay', 3)));
  assert.equal(verdictOf({ faces: [] }, found(2)), '');
});

test('the faces of a photo are told, and whether the user is among them', () => {
  const faces = (...mine) => facesInWords(mine.map((own) => ({ box: [], mine: own })));
  assert.deepEqual(faces(), ['No face found']);
  assert.deepEqual(faces(null), ['1 face found']);
  assert.deepEqual(faces(true, false), ['2 faces found', say('mine_found')]);
  assert.deepEqual(faces(false, false, false), ['3 faces found', say('mine_none')]);
});

test('an error has our words where we have some, else the server\'s', () => {
  assert.equal(wordsOf({ code: 'down', title: 'x' }), say('trouble_down'));
  assert.equal(wordsOf({ code: 'new', title: 'Too hot', detail: 'wait' }), 'Too hot: wait');
  assert.equal(wordsOf({ code: 'new', title: 'Too hot' }), 'Too hot');
  const trouble = { code: 'down', title: 'x' };
  assert.equal(troubleOf(new TroubleError(trouble)), trouble);
  assert.deepEqual(troubleOf(new TypeError('odd')), { code: 'internal', title: 'TypeError: odd' });
});

test('a text that is missing shows its key', () => assert.equal(say('no_such_text'), 'no_such_text'));

test('times', () => {
  const clocks = [0, 999, 61_000, 600_000, 3_600_000].map(clock);
  assert.deepEqual(clocks, ['0:00', '0:00', '1:01', '10:00', '60:00']);
  const ago = [0, 300_000, 7_300_000, 90_000_000, 200_000_000].map((time) => agoIn('en', time));
  assert.deepEqual(ago, ['this minute', '5 minutes ago', '2 hours ago', 'yesterday', '2 days ago']);
  assert.equal(agoIn('de', 300_000), 'vor 5 Minuten');
});

test('German has the same sentences', () => {
  speak('de');
  assert.match(verdictOf({ faces: [face(false, true)] }, undefined), /^1 Gesicht .*\. .*2 von 2.* 1 von 2/);
  assert.deepEqual(facesInWords([]), ['Kein Gesicht gefunden']);
  speak('en');
});
