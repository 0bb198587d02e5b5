// What the linter looks for: likely mistakes, and what must never be in an extension that handles photos.

import globals from 'globals';
import js from '@eslint/js';

export default [
  { ignores: ['node_modules/', 'dist/'] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'max-len': ['error', { code: 110 }],
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-restricted-properties': [
        'error',
        ...['innerHTML', 'outerHTML', 'insertAdjacentHTML'].map((property) => (
          { property, message: 'Text is put in as text.' })),
      ],
      'no-console': 'error', // file names would end up there
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
    },
  },
  { files: ['src/**/*.js'], languageOptions: { globals: { ...globals.browser, chrome: 'readonly' } } },
  // Scripts in pages are no modules; they share one object.
  {
    files: ['src/content/*.js'],
    languageOptions: {
      sourceType: 'script',
      globals: { clip2protect: 'writable', cloneInto: 'readonly', XPCNativeWrapper: 'readonly' },
    },
  },
  {
    files: ['scripts/*.js', 'unit/*.js', '*.config.js'],
    languageOptions: { globals: { ...globals.node, clip2protect: 'readonly' } },
    rules: { 'no-console': 'off' },
  },
];
