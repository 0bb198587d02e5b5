// What is no part of the extension: the tools around it.

const TOOLS = ['package.json', 'package-lock.json', 'tsconfig.json', '*.config.js', 'scripts', 'unit'];

export default { ignoreFiles: [...TOOLS, 'node_modules', 'dist', '*.md', '**/*.d.ts'] };
