// The layering rule alone, without type information: part of eslint.config.js, and what its own test runs.
import tseslint from 'typescript-eslint';
import sidetune from './layers.js';

export default [
  {
    name: 'sidetune/layers',
    files: ['**/*.{ts,cts,js,mjs}'],
    languageOptions: { parser: tseslint.parser },
    plugins: { sidetune },
    rules: { 'sidetune/layers': 'error' },
  },
];
