import type { ChatTemplate } from '@dynamo/llm/internal';

const first = 'FIRST-TURN-OF-THE-USER';
const reply = 'REPLY-OF-THE-ASSISTANT';
const second = 'SECOND-TURN-OF-THE-USER';

/**
 * Makes a function that cuts the last thing the user said out of a rendered prompt.
 *
 * What the template writes around a user's turn is learned by rendering known turns: before it, what a first and a
 * later turn have in common; after it, what an unanswered and an answered turn have in common. A prompt without both,
 * such as that of a plain completion, is returned whole; so is every prompt when the template takes no such messages.
 */
export function userTextOf(template: ChatTemplate | undefined): (prompt: string) => string {
  const marks = template === undefined ? undefined : learn(template);
  if (marks === undefined) return (prompt) => prompt;
  const { opening, closing } = marks;
  return (prompt) => {
    const end = prompt.lastIndexOf(closing);
    const start = end < 0 ? -1 : prompt.lastIndexOf(opening, end - opening.length);
    return start < 0 ? prompt : prompt.slice(start + opening.length, end);
  };
}

function learn(template: ChatTemplate): { opening: string; closing: string } | undefined {
  const user = (content: string): object => ({ role: 'user', content });
  let unanswered: string;
  let answered: string;
  try {
    unanswered = template.render({ messages: [user(first)], add_generation_prompt: true });
    answered = template.render({ messages: [user(first), { role: 'assistant', content: reply }, user(second)], add_generation_prompt: true });
  } catch {
    return undefined;
  }
  const before = between(unanswered, '', first);
  const after = between(unanswered, first, '');
  const later = between(answered, reply, second);
  const toReply = between(answered, first, reply);
  if (before === undefined || after === undefined || later === undefined || toReply === undefined) return undefined;
  const opening = commonEnd(before, later);
  const closing = commonStart(after, toReply);
  return opening === '' || closing === '' ? undefined : { opening, closing };
}

/** What stands between two marks; an empty mark is the end of the text on its side. */
function between(text: string, left: string, right: string): string | undefined {
  const start = text.indexOf(left);
  const end = right === '' ? text.length : text.indexOf(right, start + left.length);
  return start < 0 || end < 0 ? undefined : text.slice(start + left.length, end);
}

function commonStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

function commonEnd(a: string, b: string): string {
  let length = 0;
  while (length < a.length && length < b.length && a.at(-1 - length) === b.at(-1 - length)) length++;
  return a.slice(a.length - length);
}
