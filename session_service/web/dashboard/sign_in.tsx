// Name, password and, where the operator has one, the code of the authenticator app.
import { useState } from "preact/hooks";
import { post, type Me } from "./api";

export function SignIn({ onSignedIn }: { onSignedIn: (me: Me) => void }) {
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const said = new FormData(event.currentTarget as HTMLFormElement);
    const code = String(said.get("code") ?? "").replaceAll(" ", "");
    const body = { name: said.get("name"), password: said.get("password"), cookie: true };
    setBusy(true);
    setFault("");
    try {
      onSignedIn(await post<Me>("/v1/ops/sign-ins", code === "" ? body : { ...body, code }));
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  }
  return (
    <main class="sign-in">
      <h1>Unlatch dashboard</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label>Name<input name="name" autocomplete="username" required maxLength={60} /></label>
        <label>Password<input name="password" type="password" autocomplete="current-password" required /></label>
        <label>
          Code of the authenticator app, if you have one
          <input name="code" inputMode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" />
        </label>
        <p class="fault" role="alert">{fault}</p>
        <button class="main" disabled={busy}>Sign in</button>
      </form>
    </main>
  );
}
