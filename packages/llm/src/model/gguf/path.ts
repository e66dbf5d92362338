/** Whether a model is named by a GGUF file. */
export const isGgufPath = (path: string): boolean => path.toLowerCase().endsWith('.gguf');
