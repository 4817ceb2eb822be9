# Texts are Telegram HTML. A test compares the languages: same ids, same variables.

## Access

guest = You don't have access yet.
    Your Telegram ID is <code>{ $user_id }</code>.
    Send it to your administrator. They can add you by sending me <code>/allow { $user_id }</code> or by running <code>orchestrator user add { $user_id }</code> on the server.
guest-alert = You don't have access. Your Telegram ID is { $user_id }.

## Commands

command-new = Build a new service
command-projects = My projects
command-tasks = My latest tasks
command-status = What's running now
command-cost = What agents have cost
command-memory = What agents know of a project
command-cancel = Stop a running task
command-language = Change the language
command-help = What I can do

start = <b>Hello!</b> Describe a service in one sentence, and I'll build, test and deploy it.
    For example: <i>Make a notes service: title, text, done:bool</i>
    { $help }
help = Send me a sentence, and I'll reply with a link to a running service.
    /new <i>sentence</i>: build something new, even while I'm waiting for an answer
    /projects: your projects
    /tasks: your latest tasks
    /status: what's running now
    /cost: what agents have cost this month
    /memory <i>project</i>: what agents know of a project
    /cancel: stop a running task
    /language: Russian or English
    When I ask a question, press a button or reply to the question.
help-admin = Administrators: /users lists all users, /allow <i>id</i> gives someone access.
new-usage = Add a description of what to build, for example:
    <code>/new A library with books: title, author, year:int</code>
only-text = I only understand text. Describe what you'd like me to build.
unknown-command = I don't know this command. See /help for the list.
platform-away = The platform is not responding. Your message is not lost: I'll continue as soon as it's back.
broken = Something went wrong on my side. Please try again. If it happens again, tell your administrator.
language-ask = Which language do you prefer?
language-chosen = I'll write in English from now on.
language-name-ru = Русский
language-name-en = English

projects-title = <b>Your projects</b>
projects-none = You have no projects yet. Describe what you'd like me to build.
project-line = <b>{ $name }</b>: { $status }
project-line-url = <b>{ $name }</b>: { $status }, { $url }
tasks-title = <b>Latest tasks</b>
tasks-none = You have no tasks yet. Describe what you'd like me to build.
task-line = { $icon } { $title } <code>{ $id }</code>: { $state }
status-title = <b>Running now</b>
status-idle = Nothing is running.
status-line = { $icon } { $title }: { $stage }
status-platform-ok = The platform is working normally.
status-platform-bad = The platform has a problem. Administrators can run <code>orchestrator status</code> for details.
cost-title = <b>Costs in { $month }: ${ $usd }</b>
cost-none = Agents have cost nothing this month.
cost-line = <b>{ $name }</b>: ${ $usd }, requests: { $requests }
cost-unknown = The use or the price of some requests is not known ({ $requests }); they count for ${ $usd }.
memory = <b>{ $name }: what agents know</b>
    { $text }

    To change it: <code>orchestrator project memory edit { $name }</code>
memory-empty = Nothing yet: the first finished task begins it.
memory-none = I know no such project of yours. /projects lists them.
cancel-ask = Which task should I stop?
cancel-none = There are no running tasks to stop.
cancel-button = Stop: { $title }

users-title = <b>Users</b>
user-line = <code>{ $user_id }</code> { $role } { $name }
users-more = … and { $count } more. See all with <code>orchestrator user list</code>.
allow-usage = Add the person's Telegram ID: <code>/allow 123456789</code>
allow-done = <code>{ $user_id }</code> now has access.
allow-known = <code>{ $user_id }</code> already has access.

## The task message

screen-accepted = 🕓 Accepted: <i>{ $wish }</i>
    I'll show the progress in one message.
screen-head = <b>{ $project }</b>
    <i>{ $wish }</i>
screen-progress = { $head }

    { $steps }
    { $percent }%
screen-question = { $head }

    { $steps }

    ❓ <b>{ $question }</b>
    { $hint }
screen-stalled = ⚠️ Waiting: no worker has been available for the queue <code>{ $queue }</code> since { $since } UTC. Administrators can run <code>orchestrator status</code> for details.
screen-done = ✅ <b>Ready: { $project }</b>
    <i>{ $wish }</i>

    { $url }
screen-link = { $screen }
    { $service }: { $url }
built = <b>Built and checked:</b>
not-checked = <b>Not checked:</b>
tests-ran = 🧪 Tests: { $count }
tests-ran-and-covered = 🧪 Tests: { $count }, { $percent } % of lines covered
lines-covered = 🧪 { $percent } % of lines covered by tests
reviewed = <b>Review of the change:</b>
    { $review }
not-built = <b>Not built:</b>
not-built-line = • { $words }
not-built-more = … and { $count } more: <code>orchestrator task show { $task_id }</code>
part-line = { $icon } { $number }. { $title }
part-blocked = { $line } — blocked by { $by }
task-cost = Models cost { $usd }.
task-cost-expected = Models cost { $usd }; { $expected } were expected ({ $error }; earlier tasks: { $count }).
screenshot-caption = A page of { $project }
screen-failed = ❌ <b>{ $project }: not completed</b>
    <i>{ $wish }</i>

    Stopped at: { $stage }
    { $reason }
screen-cancelled = ⏹ <b>{ $project }: stopped</b>
    <i>{ $wish }</i>

    Stopped at: { $stage }
screen-refused = ❌ <b>Couldn't start</b>
    <i>{ $wish }</i>

    { $reason }
screen-details = { $screen }

    <b>Details</b>
    Task <code>{ $task_id }</code>, error code <code>{ $code }</code>
    <pre>{ $error }</pre>
step-done = ✅ { $name }
step-now = 🔄 { $name }
step-later = ▫️ { $name }

stage-queued = Queued
stage-starting = Starting
stage-started = Starting
stage-engineering = Development
stage-scaffolding = Project setup
stage-planning = Planning
stage-developing = Writing code
stage-testing = Tests
stage-reviewing = Review of the change
stage-accepting = Checking the running service
stage-publishing = Publishing the code
stage-deploy = Deployment
stage-choosing = Deployment: looking up the commit
stage-analysing = Deployment: checking requirements
stage-resolving = Deployment: collecting secrets
stage-allocating = Deployment: choosing server and port
stage-deploying = Deployment: installing
stage-probing = Deployment: checking the URL
stage-watching = Deployment: watching the new release
stage-promoting = Deployment: going live
stage-rolling-back = Deployment: rolling back
stage-stop = Stopping the service
stage-restart = Restarting the service
stage-remove = Removing the service
stage-waiting = Waiting for an answer
stage-completed = Ready
stage-failed = Failed
stage-cancelled = Stopped

## Buttons

button-cancel = ⏹ Stop
button-cancel-sure = Yes, stop
button-cancel-not = No, continue
button-again = 🔁 Try again
button-details = 🔎 Details
button-dismiss = Dismiss
choice-retry = 🔁 Try again
choice-stop = ⏹ Stop
choice-approve = ✅ Approve
choice-accept = ✅ Take it as it is
choice-now = ▶️ Go on now
choice-hold = ✋ Don't go on by itself
choice-continue = ▶️ Go on
choice-cheaper = 💡 Cheaper model
label-agent = 🔀 Go on with { $agent }

## Questions

question-secret = The service needs { $names }.
question-main-moved = The main branch has moved and conflicts with this work in: { $files }. What should happen?
question-agent-silent = The agent needs more details.
question-turn-stopped = The agent's turn { $turn } was stopped by a person. Its files are kept. Go on in the same session (you may add advice), or stop the task?
question-agent-failed = The agent could not finish: { $reason }. Try again (you may add advice), or stop?
question-commits-refused = The agent's commits cannot be taken:
    { $evidence }

    Try again (you may add advice), or stop?
question-nothing-committed = The agent says that it is done but committed nothing: { $summary }. Try again (you may add advice), or stop?
question-same-failure = The project's checks are still red, the same failure came twice:
    { $evidence }

    Try again (you may add advice), or stop?
question-still-red = The project's checks are still red. Attempts to repair: { $rounds }.
    { $evidence }

    Try again (you may add advice), or stop?
question-budget-nearly-spent = { $spent } of { $limit } that { $scope ->
        [turn] this turn
        [project] the project
        [month] the project this month
        [everybody] everybody this month
       *[other] this task
    } may spend on models are nearly spent. The work waits. How should it go on?
question-budget-spent = { $spent } of { $limit } that { $scope ->
        [turn] this turn
        [project] the project
        [month] the project this month
        [everybody] everybody this month
       *[other] this task
    } may spend on models are spent. The work waits. How should it go on?
question-usage-window = The usage limit of { $account } is reached. The work waits and goes on by itself at { $until }.
question-usage-window-held = The usage limit of { $account } is reached until { $until }. The work is on hold and does not go on by itself.
question-model-unavailable = { $account } has not answered for some time: { $reason }. Try again, or stop?
question-model-key-refused = { $account } refuses the platform's key: { $reason }. An administrator sets a valid one with “orchestrator secret set --platform”; then try again.
question-model-request-refused = The model refuses what { $agent } sends: { $reason }. Try again, or stop?
hint-budget = Press a button, or reply with another amount, such as +$10.
hint-secret = Reply with the value. I'll put it in the secret store and delete your message.
hint-secret-several = Reply with one <code>NAME=value</code> per line. I'll put them in the secret store and delete your message.
hint-secret-group = Don't post secrets in a group. The owner can send me <code>NAME=value</code> in a private chat, or run <code>orchestrator secret set</code>.
hint-choice = Press a button.
hint-text = Reply to this message, or press a button if there is one.
question-approve-plan = The work will be judged by this:
    { $criteria }

    Words that nothing stands for: { $ignored }
    No longer promised: { $taken_back }

    Begin?
question-unmet = The tests are green, but the running service does not do what was asked for. Attempts to repair: { $rounds }.
    { $unmet }

    { $evidence }

    Try again (you may add advice), take it as it is, or stop? If you take it, what is said above to be promised earlier is given up.
question-objections = The tests are green, but the reviewer objects to the change.
    { $review }

    Try again (you may add advice), take it as it is, or stop?
question-not-reviewed = The tests are green, but the change is to be reviewed and was not.
    { $review }

    Try again, take it as it is, or stop?
question-approval = Deploy this version of { $project } now? Commit { $commit }
answer-which = I'm waiting for several answers. Reply to the question you mean, or send a new task with /new.
doubt = Is this the answer to my open question, or something new to build?
doubt-answer = It's the answer to my question.
doubt-wish = It's something new; I'm starting it.
button-doubt-answer = 💬 The answer
button-doubt-wish = 🆕 Something new
answer-taken = Thanks, continuing.
answer-secret-kept = 🔐 Saved: { $names }. I've deleted your message.
answer-secret-not-deleted = 🔐 Saved: { $names }. I <b>couldn't</b> delete your message. Please delete it yourself.
answer-secret-format = I couldn't read that. Send one <code>NAME=value</code> per line for: { $names }.
answer-nothing-asked = This task has no open question. To start a new task, send /new with a description.
answer-secret-late = This may be a secret, but no task is waiting for one any more. I saved nothing and deleted your message. If it was a new task, send it again with /new. If it was an answer, reply to the question.
answer-secret-late-not-deleted = This may be a secret, but no task is waiting for one any more. I saved nothing, but I <b>couldn't</b> delete your message: please delete it. If it was a new task, send it again with /new. If it was an answer, reply to the question.
answer-secret-group = I don't accept secrets in groups. I saved nothing. If your message is still visible, please delete it.
answer-secret-unnamed = This may be the secret I asked for in a group. I saved nothing. Send it here as <code>NAME=value</code>. If it was a new task, send it again with /new.
message-deleted = I've deleted your message because it may be a secret.
message-not-deleted = I <b>couldn't</b> delete your message. If it is a secret, please delete it.

## Refusals

refused-closed = This question has already been answered. Only the first answer counts.
refused-not-yours = This belongs to someone else. Nothing has changed.
refused-unknown = This button no longer works. Nothing has changed.
refused-choice = That is not one of the options. Nothing has changed.
refused-plan = The plan has changed. Please review the new one.
refused-ended = This has already finished. Nothing has changed.
refused-busy = No worker is available right now. Please try again in a minute.
refused-forged = I don't recognise this button. Nothing has changed.
refused-later = The platform is not responding. Please try again in a minute.
refused-text-gone = I can't see your message any more. Please send it again: with /new for a new task, or as a reply to my question.
refused-chosen = You have already chosen. Nothing has changed.
refused-other = That didn't work. Nothing has changed.
cancel-taken = Stopping…
again-taken = Trying again. See the new message for progress.

## Reasons

reason-TESTS_FAILED = The project's tests failed.
reason-AGENT_FAILED = The AI agent couldn't complete the task.
reason-AGENT_LOST = The AI agent stopped unexpectedly.
reason-STOPPED_BY_PERSON = You stopped it.
reason-STOPPED_AT_LIMIT = You stopped it at a limit. What was done is kept.
reason-SCAFFOLD_FAILED = The project couldn't be set up.
reason-REPOSITORY_FOREIGN = The repository belongs to another project.
reason-SECRET_MISSING = A secret is missing.
reason-NO_SERVER = No server is available for deployment.
reason-NO_PORT = The server has no free port.
reason-PLAYBOOK_FAILED = The installation on the server failed. The previous version, if any, is still running.
reason-MIGRATION_FAILED = Updating the stored data failed, so the new version was not started. The previous version, if any, is still running.
reason-IMAGE_MISMATCH = The server no longer has the exact image of this version. Deploy it as a new version.
reason-RELEASE_NOT_KEPT = That version is too old to return to: its image is no longer kept. Deploy its commit as a new version.
reason-PROBE_FAILED = The service didn't respond correctly at its URL. The previous version, if any, is still running.
reason-ROLLBACK_FAILED = The new version failed, and returning to the previous one failed, too. “Details” says what is running now.
reason-SERVER_UNREACHABLE = The server didn't answer for a long time. Try again when it is back.
reason-WORKFLOW_LOST = The work was ended from outside, and its result is unknown.
reason-ALREADY_EXISTS = A project with this name already exists.
reason-INVALID_INPUT = The platform can't process this description. Please rephrase it.
reason-NOT_ALLOWED = You no longer have access.
reason-other = Something failed. Press “Details” to see the error.
reason-code = The platform rejected the request with code { $code }.

## Names of states and roles

state-queued = queued
state-running = running
state-waiting = waiting for an answer
state-completed = done
state-failed = failed
state-cancelled = stopped
icon-queued = 🕓
icon-running = 🔄
icon-waiting = ❓
icon-completed = ✅
icon-failed = ❌
icon-cancelled = ⏹
project-draft = draft
project-scaffolding = being set up
project-scaffolded = set up
project-scaffold_failed = setup failed
project-developing = in development
project-testing = being tested
project-deploying = being deployed
project-active = live
project-failed = failed
project-archived = archived
role-admin = administrator
role-member = member
role-agent = agent

# Words that project names leave out because they say nothing about the subject.
naming-ignored = make build create write develop please me a an the service app application api for of with that which simple small new
naming-nothing = service
