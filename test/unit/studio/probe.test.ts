import { describe, expect, it } from 'vitest';
import { devicesOf } from '../../../src-main/studio/doctor.ts';
import { explainDevice, oneLine } from '../../../src-main/studio/probe.ts';

describe('what a library says', () => {
  it('is cut to its telling line', () => {
    expect(oneLine('\u001b[31mloading\u001b[0m\n  Error: no such device\n    at file.js:1')).toBe(
      'Error: no such device',
    );
    expect(oneLine('only this\nand that')).toBe('only this');
    expect(oneLine('x'.repeat(300))).toHaveLength(240);
    expect(oneLine('')).toBe('');
  });

  it('is explained where it is known', () => {
    expect(explainDevice('webgpu_context.cc:136 adapter_result.status == wgpu::RequestAdapterStatus::Success')).toMatch(
      /no graphics adapter/,
    );
    expect(explainDevice('OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library')).toBe(
      "onnxruntime's CUDA libraries are not installed",
    );
    expect(explainDevice('something new')).toBe('something new');
  });
});

describe('devices', () => {
  it('are those of the platform', () => {
    expect(devicesOf('linux', 'x64')).toEqual(['cpu', 'webgpu', 'cuda']);
    expect(devicesOf('darwin', 'arm64')).toContain('coreml');
    expect(devicesOf('win32', 'arm64')).toContain('dml');
  });
});
