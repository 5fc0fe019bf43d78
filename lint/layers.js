// Who may import whom under src-main, decided by machine: arrows run downwards only, as the README's list of folders
// says. One table, one ESLint rule; eslint.config.js switches it on.
import path from 'node:path';

/** Layer (a folder of src-main) -> the layers it may import besides itself. A folder that is not here is refused. */
const below = {
  base: [],
  workspace: ['base'],
  engine: ['base'],
  methods: [],
  data: ['base', 'workspace'],
  backbone: ['base', 'workspace', 'engine'],
  oip: ['base', 'workspace', 'engine', 'data', 'backbone'],
  features: ['base', 'workspace', 'engine', 'methods', 'data', 'backbone', 'oip'],
  training: ['base', 'workspace', 'engine', 'methods', 'data', 'backbone', 'oip', 'features'],
  sweep: ['base', 'workspace', 'engine', 'methods', 'data', 'backbone', 'oip', 'features', 'training'],
  export: ['base', 'workspace', 'engine', 'methods', 'data', 'backbone', 'oip', 'features', 'training'],
  edge: ['base', 'workspace', 'engine', 'methods', 'data', 'backbone', 'oip', 'features', 'training', 'export'],
  studio: [
    'base',
    'workspace',
    'engine',
    'methods',
    'data',
    'backbone',
    'oip',
    'features',
    'training',
    'sweep',
    'export',
    'edge',
  ],
  host: ['base', 'studio'],
  cli: ['base', 'studio', 'host'],
  electron: ['base', 'workspace', 'studio', 'host'],
};

/** Layers that see nothing but these packages (a method runs traced, eager and exported: it may know TF.js alone). */
const onlyPackages = { methods: ['@tensorflow/tfjs-core'] };

/** Packages that one layer alone may see. */
const onlyLayer = { electron: 'electron' };

/** `@scope/name/file` -> `@scope/name`, `name/file` -> `name`. */
function packageOf(specifier) {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

/** Folder of src-main that holds the file; undefined outside src-main, '' for a file lying in src-main itself. */
function layerOf(file, root) {
  const parts = path.relative(root, file).split(path.sep);
  if (parts[0] !== 'src-main') return undefined;
  return parts.length > 2 ? parts[1] : '';
}

/** Why `file` may not import `specifier`, as one sentence; undefined when it may. */
function refusal(file, specifier, root) {
  const layer = layerOf(file, root);
  if (!specifier.startsWith('.')) {
    const name = packageOf(specifier);
    const owner = Object.hasOwn(onlyLayer, name) ? onlyLayer[name] : undefined;
    if (owner !== undefined && owner !== layer) return `'${name}' may be imported in src-main/${owner} only.`;
    const known = Object.hasOwn(onlyPackages, layer ?? '') ? onlyPackages[layer] : undefined;
    if (known !== undefined && !known.includes(name)) {
      return `src-main/${layer} may import ${known.join(', ')} and its own files only, not '${specifier}'.`;
    }
    return undefined;
  }
  if (layer === undefined) return undefined;
  if (!Object.hasOwn(below, layer))
    return `src-main/${layer} has no place in the table of lint/layers.js: add it there.`;
  const target = layerOf(path.resolve(path.dirname(file), specifier), root);
  if (target === layer) return undefined;
  if (target === undefined) return `src-main may not import '${specifier}', which lies outside src-main.`;
  if (below[layer].includes(target)) return undefined;
  const allowed = below[layer].length > 0 ? below[layer].join(', ') : 'nothing';
  return `src-main/${layer} may not import src-main/${target}: it may import ${allowed} besides itself.`;
}

/** The rule: looks at every static import and re-export, `import()`, `import('x')` types and `require('x')`. */
const layers = {
  meta: {
    type: 'problem',
    docs: { description: 'imports under src-main run downwards only' },
    schema: [],
    messages: { refused: '{{reason}}' },
  },
  create(context) {
    const check = (source) => {
      if (source?.type !== 'Literal' || typeof source.value !== 'string') return;
      const reason = refusal(context.filename, source.value, context.cwd);
      if (reason !== undefined) context.report({ node: source, messageId: 'refused', data: { reason } });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source ?? node.argument?.literal),
      TSExternalModuleReference: (node) => check(node.expression),
      CallExpression(node) {
        if (node.callee.type === 'Identifier' && node.callee.name === 'require') check(node.arguments[0]);
      },
    };
  },
};

export default { rules: { layers } };
