import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Piece } from './asking.ts';

/** A turn of the conversation. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** Where a chat takes place, and who answers. */
export interface ChatSessionOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether a person sits there: then there is a prompt, and lines can be edited. */
  readonly terminal: boolean;
  readonly answer: (turns: readonly Turn[], signal: AbortSignal) => AsyncIterable<Piece>;
}

const dim = '\u001b[2m';
const plain = '\u001b[22m';

/**
 * A chat in a terminal: what is typed is asked, answers appear as they come, and each turn is asked with all before it.
 *
 * An interruption (Ctrl-C) ends the answer that runs; the next one, or one while nothing runs, ends the chat. So does the end of
 * the input (Ctrl-D). Answers that are still to come for lines that have been read are given before.
 */
export class ChatSession {
  readonly #options: ChatSessionOptions;
  readonly #turns: Turn[] = [];
  readonly #lines: Interface;
  #answering: AbortController | undefined;
  #left = false;

  constructor(options: ChatSessionOptions) {
    this.#options = options;
    const { input, output, terminal } = options;
    this.#lines = createInterface({ input, ...(terminal ? { output, terminal, prompt: '> ' } : { crlfDelay: Infinity }) });
    this.#lines.on('SIGINT', () => this.interrupt());
  }

  /** What a Ctrl-C does. */
  interrupt(): void {
    if (this.#answering !== undefined && !this.#answering.signal.aborted) return this.#answering.abort();
    this.leave();
  }

  /** Ends the chat at once. */
  leave(): void {
    this.#left = true;
    this.#answering?.abort();
    this.#lines.close();
  }

  /** Runs until it is left, or the input ends. */
  async run(): Promise<void> {
    this.#prompt();
    for await (const line of this.#lines) {
      if (this.#left) break;
      if (line.trim() !== '') await this.#turn(line);
      if (this.#left) break;
      this.#prompt();
    }
    if (this.#options.terminal) this.#options.output.write('\n');
  }

  #prompt(): void {
    if (this.#options.terminal) this.#lines.prompt();
  }

  async #turn(line: string): Promise<void> {
    const { answer } = this.#options;
    this.#turns.push({ role: 'user', content: line });
    const controller = new AbortController();
    this.#answering = controller;
    let said = '';
    try {
      for await (const piece of answer(this.#turns, controller.signal)) {
        said += piece.text;
        this.#show(piece);
      }
    } catch (error) {
      // Whoever waits at a terminal asks again; nothing that failed ends the chat.
      this.#options.output.write(controller.signal.aborted ? ' ^C' : `\n[${error instanceof Error ? error.message : String(error)}]`);
    } finally {
      this.#answering = undefined;
    }
    this.#options.output.write('\n');
    if (said === '') this.#turns.pop();
    else this.#turns.push({ role: 'assistant', content: said });
  }

  #show({ text, thought }: Piece): void {
    const { output, terminal } = this.#options;
    if (thought !== '' && terminal) output.write(dim + thought + plain);
    if (text !== '') output.write(text);
  }
}
