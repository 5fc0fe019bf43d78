/** What came of loading TensorFlow's native library: a TF.js backend's name, or why there is none. */
export type NativeTensorflow =
  { backend: 'tensorflow'; from: string; why?: undefined } | { backend?: undefined; why: string };

const PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/**
 * Loads TensorFlow's native library if a package that brings one is installed beside this one. Neither is a
 * dependency: their install scripts download it, and it does not exist for every version of Node.
 */
export async function loadNativeTensorflow(): Promise<NativeTensorflow> {
  const reasons: string[] = [];
  for (const name of PACKAGES) {
    try {
      await import(name);
      return { backend: 'tensorflow', from: name };
    } catch (error) {
      const message = error instanceof Error ? error.message.split('\n')[0]! : String(error);
      const absent = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`);
      reasons.push(absent ? `${name} is not installed` : `${name} cannot be loaded: ${message}`);
    }
  }
  return { why: reasons.join('; ') };
}
