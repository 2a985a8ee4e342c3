// How the tests look at a page: by role and name, as a screen reader does.

"use strict";

window.eyes = (() => {
  const words = (text) => (text ?? "").replace(/\s+/g, " ").trim();

  const visible = (element) => element.checkVisibility({ visibilityProperty: true });

  // What lies under an open dialog cannot be reached.
  const reach = () => document.querySelector("dialog:modal") ?? document;

  // Exactly that name, or the first that begins so.
  const named = (candidates, name, nameOf) => {
    const reachable = candidates.filter(visible);
    return reachable.find((one) => nameOf(one) === name) ?? reachable.find((one) => nameOf(one).startsWith(name)) ?? null;
  };

  const pressable = (name) => {
    const candidates = [...reach().querySelectorAll("a[href], button, summary, [role=button], input[type=submit]")];
    // What a button sends is not its name.
    return named(candidates, name, (one) => words(one.ariaLabel || (one.matches("input") && one.value) || one.innerText));
  };

  const field = (label) => {
    const candidates = [...reach().querySelectorAll("input:not([type=hidden]), select, textarea")];
    const labelled = (one) => [...(one.labels ?? [])].map((label) => label.innerText || label.textContent).join(" ");
    return named(candidates, label, (one) => words(one.ariaLabel || labelled(one)));
  };

  const choose = (select, option) => {
    const found = [...select.options].find((one) => words(one.text) === option) ?? [...select.options].find((one) => words(one.text).startsWith(option));
    if (!found) throw new Error(`no option “${option}” among ${[...select.options].map((one) => one.text)}`);
    select.value = found.value;
    select.dispatchEvent(new Event("input", { bubbles: true }));
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const frame = (title) => named([...document.querySelectorAll("iframe")], title, (one) => words(one.title));

  return { pressable, field, frame, choose };
})();

// What the payloads call. A message in the log of the browser outlives the page.
window.boom = (number) => console.error(`boom was called: ${number}`);
