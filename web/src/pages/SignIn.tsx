/** Signing in with the token that the server printed when it started, or with an API key. */
import { Button, PasswordInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { call, Problem } from "../api";

export function SignIn() {
  const given = useRef(new URLSearchParams(window.location.search).get("token"));
  const [token, setToken] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const client = useQueryClient();
  const signIn = useCallback(
    async (value: string) => {
      setBusy(true);
      setError(null);
      try {
        await call("/session", { method: "POST", body: { token: value } });
        await client.invalidateQueries();
        await client.refetchQueries({ queryKey: ["get", "/session"] });
      } catch (problem) {
        const denied = problem instanceof Problem && (problem.status === 401 || problem.status === 403);
        setError(denied ? "This token is not known. The server prints a fresh one each time it starts." : problem instanceof Error ? problem.message : "Signing in failed");
        setBusy(false);
      }
    },
    [client],
  );
  useEffect(() => {
    document.title = "Sign in · Rapport";
    if (!given.current) return;
    const value = given.current;
    given.current = null;
    // The token leaves the address bar and the history before anything else happens.
    window.history.replaceState(null, "", window.location.pathname);
    void signIn(value);
  }, [signIn]);
  return (
    <main className="signin">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void signIn(token.trim());
        }}
      >
        <img src="/favicon.svg" alt="" width={36} height={36} style={{ display: "block", marginBottom: 20 }} />
        <h1>Sign in to Rapport</h1>
        <p className="muted" style={{ margin: "4px 0 24px" }}>Use the token that the server printed when it started, or an API key.</p>
        <PasswordInput label="Token" value={token} onChange={(event) => setToken(event.currentTarget.value)} error={error} autoComplete="current-password" data-autofocus autoFocus name="token" visibilityToggleButtonProps={{ "aria-label": "Show the token" }} />
        <Button type="submit" fullWidth mt={16} loading={busy} disabled={!token.trim()}>Sign in</Button>
      </form>
    </main>
  );
}
