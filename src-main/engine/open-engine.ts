import { CompiledEngine } from './compiled.ts';
import { EagerEngine } from './eager.ts';
import { loadNativeTensorflow } from './native-tensorflow.ts';
import type { Engine } from './program.ts';

/** Opens an engine by name; eager takes TensorFlow's native library where there is one, else TF.js's CPU backend. */
export async function openEngine(name: Engine['name'], threads: number): Promise<Engine> {
  if (name === 'compiled') return new CompiledEngine({ threads });
  const native = await loadNativeTensorflow();
  return new EagerEngine(native.backend ?? 'cpu');
}
