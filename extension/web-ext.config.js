// What is no part of the extension: the tools around it.

export default {
  ignoreFiles: ['node_modules', 'dist', 'scripts', '*.md', '*.config.js', 'package.json', 'package-lock.json', 'tsconfig.json', '**/*.d.ts'],
};
