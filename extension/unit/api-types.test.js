// Compares src/common/types.js with the server's own description of its answers, by the TypeScript compiler.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const API = JSON.parse(read('../../server/page/openapi.json'));
const SCHEMAS = API.components.schemas;
const TYPES = read('../src/common/types.js');
const TYPEDEFS = TYPES.matchAll(/@typedef (?:\{[^]*?\}|\{object\}) (\w+)[ \n]/g);
const NAMES = new Set([...TYPEDEFS].map(([, name]) => name));
/** Schemas that the extension does not use. */
const UNUSED = ['Clients'];
/** Types that name only what the extension reads. */
const PARTIAL = ['Report', 'Verdict', 'FaceReport', 'RecogniserReport'];

const SIMPLE = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean', null: 'null' };

/** A schema as a type; `untyped` stands for an object without a description. */
function typeOf(schema, untyped = 'object') {
  if (schema.$ref) return `server_${schema.$ref.split('/').at(-1)}`;
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const several = Array.isArray(schema.type) ? schema.type.map((type) => ({ ...schema, type })) : undefined;
  const union = schema.anyOf ?? schema.oneOf ?? several;
  if (union) return union.map((kind) => typeOf(kind, untyped)).join(' | ');
  if (schema.type === 'array') return `(${typeOf(schema.items ?? {}, untyped)})[]`;
  if (schema.type !== 'object') return SIMPLE[schema.type] ?? 'unknown';
  const others = schema.additionalProperties;
  if (typeof others === 'object') return `Record<string, ${typeOf(others, untyped)}>`;
  if (!schema.properties) return untyped;
  return objectOf(schema.properties, schema.required);
}

function objectOf(properties, required = []) {
  const lines = Object.entries(properties).map(([name, schema]) => {
    // While the report has no description, any report is taken for one.
    const type = typeOf(schema, name === 'report' ? 'ours.Report' : 'object');
    return `${JSON.stringify(name)}${required.includes(name) ? '' : '?'}: ${type};`;
  });
  return `{ ${lines.join(' ')} }`;
}

/** A program that compiles only where both sides agree. */
function program() {
  const parameters = API.paths['/v1/jobs'].post.parameters.filter((each) => each.in === 'query');
  const options = Object.fromEntries(parameters.map(({ name, schema }) => [name, schema]));
  const sides = { ...SCHEMAS, Options: { type: 'object', properties: options } };
  const lines = [
    `import type * as ours from '${path('../src/common/types.js')}';`,
    'type Same<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false;',
    'type Fits<A, B> = [A] extends [B] ? true : false;',
  ];
  for (const [name, schema] of Object.entries(sides)) {
    lines.push(`type server_${name} = ${typeOf(schema)};`);
    if (!NAMES.has(name)) continue;
    // What the server sends, the extension can take.
    lines.push(`export const ${name}_fits: Fits<server_${name}, ours.${name}> = true;`);
    if (schema.type !== 'object' || !schema.properties) continue;
    const keys = PARTIAL.includes(name) ? 'Fits' : 'Same';
    lines.push(`export const ${name}_keys: ${keys}<keyof ours.${name}, keyof server_${name}> = true;`);
  }
  return lines.join('\n');
}

function compile(text) {
  const folder = mkdtempSync(join(tmpdir(), 'api-types-'));
  try {
    writeFileSync(join(folder, 'agreement.ts'), text);
    const compilerOptions = { noUnusedLocals: false, typeRoots: [path('../node_modules/@types')] };
    const project = { extends: path('../tsconfig.json'), compilerOptions, include: ['agreement.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
    execFileSync('node', [path('../node_modules/typescript/bin/tsc'), '-p', folder], { stdio: 'pipe' });
    return '';
  } catch (error) {
    return String(error.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the extension names every answer as the server does', () => {
  const missing = Object.keys(SCHEMAS).filter((name) => !NAMES.has(name) && !UNUSED.includes(name));
  // Parts of a report that the extension does not read need no type.
  assert.deepEqual(missing.filter((name) => !/Report|Recogniser|Settings|Seconds|Photo/.test(name)), []);
});

test('its types agree with the description of the server', () => assert.equal(compile(program()), ''));

test('a difference is noticed', () => {
  const text = program();
  const changes = { '"cached": boolean': '"cached": string', '"expired": boolean': '"gone"?: boolean' };
  for (const [from, to] of Object.entries(changes)) {
    assert.ok(text.includes(from));
    assert.match(compile(text.replace(from, to)), /TS2322/);
  }
});
