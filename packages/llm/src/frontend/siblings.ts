/** The other processes that serve the same frontend on one port; whoever starts them connects them. */
export interface Siblings {
  /** Tells every other process. */
  send(message: SiblingMessage): void;
  /** Hears what the others tell. */
  onMessage(listener: (message: SiblingMessage) => void): Disposable;
  /** Text of `/metrics` of all processes together. */
  metrics(): Promise<string>;
  /** Gives this process's part of that text to whoever adds it up. */
  onScrape(own: () => Promise<string>): Disposable;
}

/** What the processes of one frontend tell each other. */
export type SiblingMessage =
  /** What the holders of API keys have spent here; negative amounts were given back. */
  | { readonly type: 'spent'; readonly amounts: readonly (readonly [id: string, kind: 'requests' | 'tokens', amount: number])[] }
  /** A change that an admin route has made here. */
  | { readonly type: 'admin'; readonly url: string; readonly body: string };
