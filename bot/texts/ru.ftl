# Тексты — это HTML Телеграма. Тест сравнивает языки: одинаковые идентификаторы и переменные.

## Доступ

guest = У вас пока нет доступа.
    Ваш Telegram ID: <code>{ $user_id }</code>.
    Отправьте его администратору. Он откроет вам доступ: отправит мне <code>/allow { $user_id }</code> или выполнит на сервере <code>orchestrator user add { $user_id }</code>.
guest-alert = У вас нет доступа. Ваш Telegram ID: { $user_id }.

## Команды

command-new = Создать новый сервис
command-projects = Мои проекты
command-tasks = Мои последние задачи
command-status = Что сейчас в работе
command-cost = Сколько потрачено на агентов
command-memory = Что агенты знают о проекте
command-cancel = Остановить задачу
command-language = Сменить язык
command-help = Что я умею

start = <b>Здравствуйте!</b> Опишите сервис одним предложением, и я напишу его, проверю и запущу.
    Например: <i>Сделай сервис заметок: title, text, done:bool</i>
    { $help }
help = Отправьте описание одним предложением, и я пришлю ссылку на работающий сервис.
    /new <i>описание</i>: новая задача, даже если я жду вашего ответа
    /projects: ваши проекты
    /tasks: последние задачи
    /status: что сейчас в работе
    /cost: сколько потрачено на агентов в этом месяце
    /memory <i>проект</i>: что агенты знают о проекте
    /cancel: остановить задачу
    /language: русский или английский
    Если я задал вопрос, нажмите кнопку или ответьте на сообщение с вопросом.
help-admin = Администраторам: /users — список пользователей, /allow <i>id</i> — открыть доступ.
new-usage = Добавьте после команды описание, например:
    <code>/new Библиотека с книгами: title, author, year:int</code>
only-text = Я понимаю только текст. Опишите словами, что нужно сделать.
unknown-command = Такой команды нет. Список команд: /help.
platform-away = Платформа сейчас не отвечает. Ваше сообщение не потеряно: я продолжу, как только она заработает.
broken = Произошла ошибка. Попробуйте ещё раз. Если она повторится, сообщите администратору.
language-ask = На каком языке мне писать?
language-chosen = Теперь я пишу по-русски.
language-name-ru = Русский
language-name-en = English

projects-title = <b>Ваши проекты</b>
projects-none = Проектов пока нет. Опишите, что нужно сделать.
project-line = <b>{ $name }</b>: { $status }
project-line-url = <b>{ $name }</b>: { $status }, { $url }
tasks-title = <b>Последние задачи</b>
tasks-none = Задач пока нет. Опишите, что нужно сделать.
task-line = { $icon } { $title } <code>{ $id }</code>: { $state }
status-title = <b>Сейчас в работе</b>
status-idle = Сейчас ничего не выполняется.
status-line = { $icon } { $title }: { $stage }
status-platform-ok = Платформа работает нормально.
status-platform-bad = На платформе неполадки. Подробности для администратора: <code>orchestrator status</code>.
cost-title = <b>Расходы за { $month }: ${ $usd }</b>
cost-none = В этом месяце на агентов ничего не потрачено.
cost-line = <b>{ $name }</b>: ${ $usd }, запросов: { $requests }
cost-unknown = У части запросов ({ $requests }) расход или цена неизвестны; они учтены как ${ $usd }.
memory = <b>{ $name }: что знают агенты</b>
    { $text }

    Изменить: <code>orchestrator project memory edit { $name }</code>
memory-empty = Пока ничего: память начнётся с первой завершённой задачи.
memory-none = Такого вашего проекта нет. Список: /projects.
cancel-ask = Какую задачу остановить?
cancel-none = Нет задач, которые можно остановить.
cancel-button = Остановить: { $title }

users-title = <b>Пользователи</b>
user-line = <code>{ $user_id }</code> { $role } { $name }
users-more = … и ещё { $count }. Весь список: <code>orchestrator user list</code>.
allow-usage = Укажите Telegram ID пользователя: <code>/allow 123456789</code>
allow-done = Пользователь <code>{ $user_id }</code> получил доступ.
allow-known = У пользователя <code>{ $user_id }</code> уже есть доступ.

## Сообщение о задаче

screen-accepted = 🕓 Принято: <i>{ $wish }</i>
    Ход работы покажу в одном сообщении.
screen-head = <b>{ $project }</b>
    <i>{ $wish }</i>
screen-progress = { $head }

    { $steps }
    { $percent } %
screen-question = { $head }

    { $steps }

    ❓ <b>{ $question }</b>
    { $hint }
screen-stalled = ⚠️ Ожидание: с { $since } UTC очередь <code>{ $queue }</code> никто не обрабатывает. Подробности для администратора: <code>orchestrator status</code>.
screen-done = ✅ <b>Готово: { $project }</b>
    <i>{ $wish }</i>

    { $url }
screen-link = { $screen }
    { $service }: { $url }
built = <b>Сделано и проверено:</b>
not-checked = <b>Не проверено:</b>
tests-ran = 🧪 Тесты: { $count }
tests-ran-and-covered = 🧪 Тесты: { $count }, покрыто строк: { $percent } %
lines-covered = 🧪 Покрыто тестами строк: { $percent } %
reviewed = <b>Ревью изменений:</b>
    { $review }
not-built = <b>Не сделано:</b>
not-built-line = • { $words }
not-built-more = … и ещё { $count }: <code>orchestrator task show { $task_id }</code>
part-line = { $icon } { $number }. { $title }
part-blocked = { $line } — ждёт { $by }
task-cost = Модели стоили { $usd }.
task-cost-expected = Модели стоили { $usd }; ожидалось { $expected } ({ $error }; прошлых задач: { $count }).
screenshot-caption = Страница проекта { $project }
screen-failed = ❌ <b>{ $project }: не выполнено</b>
    <i>{ $wish }</i>

    Остановлено на этапе: { $stage }
    { $reason }
screen-cancelled = ⏹ <b>{ $project }: остановлено</b>
    <i>{ $wish }</i>

    Остановлено на этапе: { $stage }
screen-refused = ❌ <b>Не удалось начать</b>
    <i>{ $wish }</i>

    { $reason }
screen-details = { $screen }

    <b>Подробности</b>
    Задача <code>{ $task_id }</code>, код ошибки <code>{ $code }</code>
    <pre>{ $error }</pre>
step-done = ✅ { $name }
step-now = 🔄 { $name }
step-later = ▫️ { $name }

stage-queued = В очереди
stage-starting = Запуск
stage-started = Запуск
stage-engineering = Разработка
stage-scaffolding = Создание проекта
stage-planning = Планирование
stage-developing = Написание кода
stage-testing = Тесты
stage-reviewing = Ревью изменений
stage-accepting = Проверка работающего сервиса
stage-publishing = Публикация кода
stage-deploy = Развёртывание
stage-choosing = Развёртывание: выбор коммита
stage-analysing = Развёртывание: проверка требований
stage-resolving = Развёртывание: сбор секретов
stage-allocating = Развёртывание: выбор сервера и порта
stage-deploying = Развёртывание: установка
stage-probing = Развёртывание: проверка адреса
stage-watching = Развёртывание: наблюдение за новой версией
stage-promoting = Развёртывание: переключение на новую версию
stage-rolling-back = Развёртывание: откат
stage-stop = Остановка сервиса
stage-restart = Перезапуск сервиса
stage-remove = Удаление сервиса
stage-waiting = Ожидание ответа
stage-completed = Готово
stage-failed = Ошибка
stage-cancelled = Остановлено

## Кнопки

button-cancel = ⏹ Остановить
button-cancel-sure = Да, остановить
button-cancel-not = Нет, продолжать
button-again = 🔁 Повторить
button-details = 🔎 Подробности
button-dismiss = Закрыть
choice-retry = 🔁 Повторить
choice-stop = ⏹ Остановить
choice-approve = ✅ Разрешить
choice-accept = ✅ Принять как есть
choice-now = ▶️ Продолжить сейчас
choice-hold = ✋ Не продолжать самому
choice-continue = ▶️ Продолжить
choice-cheaper = 💡 Модель дешевле
label-agent = 🔀 Продолжить с { $agent }

## Вопросы

question-secret = Сервису не хватает: { $names }.
question-main-moved = Основная ветка ушла вперёд и противоречит этой работе в файлах: { $files }. Что делать?
question-agent-silent = Агенту нужны подробности.
question-turn-stopped = Ход агента { $turn } остановлен человеком. Его файлы сохранены. Продолжить в том же сеансе (можно добавить совет) или остановить задачу?
question-agent-failed = Агент не смог закончить: { $reason }. Попробовать ещё раз (можно добавить совет) или остановить?
question-commits-refused = Коммиты агента нельзя принять:
    { $evidence }

    Попробовать ещё раз (можно добавить совет) или остановить?
question-nothing-committed = Агент говорит, что всё сделал, но коммитов нет: { $summary }. Попробовать ещё раз (можно добавить совет) или остановить?
question-same-failure = Проверки проекта не проходят, дважды с одной и той же ошибкой:
    { $evidence }

    Попробовать ещё раз (можно добавить совет) или остановить?
question-still-red = Проверки проекта не проходят, попыток исправить: { $rounds }.
    { $evidence }

    Попробовать ещё раз (можно добавить совет) или остановить?
question-budget-nearly-spent = На модели для { $scope ->
        [turn] этого шага
        [project] проекта
        [month] проекта в этом месяце
        [everybody] всех в этом месяце
       *[other] этой задачи
    } почти всё израсходовано: { $spent } из { $limit }. Работа ждёт. Как продолжить?
question-budget-spent = На модели для { $scope ->
        [turn] этого шага
        [project] проекта
        [month] проекта в этом месяце
        [everybody] всех в этом месяце
       *[other] этой задачи
    } всё израсходовано: { $spent } из { $limit }. Работа ждёт. Как продолжить?
question-usage-window = Лимит использования { $account } исчерпан. Работа ждёт и продолжится сама в { $until }.
question-usage-window-held = Лимит использования { $account } исчерпан до { $until }. Работа на паузе и сама не продолжится.
question-model-unavailable = { $account } давно не отвечает: { $reason }. Попробовать ещё раз или остановить?
question-model-key-refused = { $account } не принимает ключ платформы: { $reason }. Администратор задаёт верный ключ командой «orchestrator secret set --platform»; затем повторите.
question-model-request-refused = Модель отклоняет запросы { $agent }: { $reason }. Попробовать ещё раз или остановить?
hint-budget = Нажмите кнопку или ответьте другой суммой, например +$10.
hint-secret = Пришлите значение в ответ. Я сохраню его в хранилище секретов и удалю ваше сообщение.
hint-secret-several = Пришлите в ответ строки <code>ИМЯ=значение</code>. Я сохраню их в хранилище секретов и удалю ваше сообщение.
hint-secret-group = Не публикуйте секреты в группе. Владелец может прислать мне <code>ИМЯ=значение</code> в личном чате или выполнить <code>orchestrator secret set</code>.
hint-choice = Нажмите кнопку.
hint-text = Ответьте на это сообщение или нажмите кнопку, если она есть.
question-approve-plan = По этому будет оцениваться работа:
    { $criteria }

    Слова, за которыми ничего не стоит: { $ignored }
    Больше не обещано: { $taken_back }

    Начинать?
question-unmet = Тесты проходят, но работающий сервис не делает того, о чём просили. Попыток исправить: { $rounds }.
    { $unmet }

    { $evidence }

    Попробовать ещё раз (можно добавить совет), принять как есть или остановить? Если принять, то, что помечено выше как обещанное раньше (Promised earlier), больше не обещано.
question-objections = Тесты проходят, но у ревьюера есть возражения.
    { $review }

    Попробовать ещё раз (можно добавить совет), принять как есть или остановить?
question-not-reviewed = Тесты проходят, но изменения должны пройти ревью, а его не было.
    { $review }

    Попробовать ещё раз, принять как есть или остановить?
question-approval = Развернуть эту версию проекта { $project }? Коммит { $commit }
answer-which = Я жду ответа на несколько вопросов. Ответьте на сообщение с нужным вопросом или отправьте новую задачу командой /new.
doubt = Это ответ на мой вопрос или новая задача?
doubt-answer = Это ответ на мой вопрос.
doubt-wish = Это новая задача, начинаю.
button-doubt-answer = 💬 Ответ
button-doubt-wish = 🆕 Новая задача
answer-taken = Спасибо, продолжаю.
answer-secret-kept = 🔐 Сохранено: { $names }. Ваше сообщение удалено.
answer-secret-not-deleted = 🔐 Сохранено: { $names }. Удалить ваше сообщение <b>не удалось</b>. Пожалуйста, удалите его сами.
answer-secret-format = Не удалось разобрать сообщение. Пришлите строки <code>ИМЯ=значение</code> для: { $names }.
answer-nothing-asked = По этой задаче нет открытых вопросов. Чтобы начать новую, отправьте /new с описанием.
answer-secret-late = Возможно, это секрет, но его уже никто не ждёт. Я ничего не сохранил и удалил ваше сообщение. Если это новая задача, отправьте её ещё раз командой /new. Если это ответ, ответьте на сообщение с вопросом.
answer-secret-late-not-deleted = Возможно, это секрет, но его уже никто не ждёт. Я ничего не сохранил, но <b>не смог</b> удалить ваше сообщение: пожалуйста, удалите его. Если это новая задача, отправьте её ещё раз командой /new. Если это ответ, ответьте на сообщение с вопросом.
answer-secret-group = Я не принимаю секреты в группах. Ничего не сохранено. Если ваше сообщение ещё видно, удалите его.
answer-secret-unnamed = Возможно, это секрет, который я запросил в группе. Ничего не сохранено. Пришлите его сюда как <code>ИМЯ=значение</code>. Если это новая задача, отправьте её ещё раз командой /new.
message-deleted = Я удалил ваше сообщение: в нём может быть секрет.
message-not-deleted = Я <b>не смог</b> удалить ваше сообщение. Если это секрет, пожалуйста, удалите его.

## Отказы

refused-closed = На этот вопрос уже ответили. Учитывается только первый ответ.
refused-not-yours = Это чужая задача. Ничего не изменилось.
refused-unknown = Эта кнопка больше не действует. Ничего не изменилось.
refused-choice = Такого варианта ответа нет. Ничего не изменилось.
refused-plan = План изменился. Посмотрите новый.
refused-ended = Задача уже завершена. Ничего не изменилось.
refused-busy = Сейчас нет свободных исполнителей. Попробуйте через минуту.
refused-forged = Неизвестная кнопка. Ничего не изменилось.
refused-later = Платформа не отвечает. Попробуйте через минуту.
refused-text-gone = Я больше не вижу ваше сообщение. Отправьте его ещё раз: командой /new, если это новая задача, или ответом на мой вопрос.
refused-chosen = Вы уже выбрали. Ничего не изменилось.
refused-other = Не получилось. Ничего не изменилось.
cancel-taken = Останавливаю…
again-taken = Пробую ещё раз. За ходом работы следите в новом сообщении.

## Причины

reason-TESTS_FAILED = Тесты проекта не прошли.
reason-AGENT_FAILED = ИИ-агент не справился с задачей.
reason-AGENT_LOST = ИИ-агент неожиданно завершил работу.
reason-STOPPED_BY_PERSON = Вы остановили задачу.
reason-STOPPED_AT_LIMIT = Вы остановили задачу на лимите. Сделанное сохранено.
reason-SCAFFOLD_FAILED = Не удалось создать проект.
reason-REPOSITORY_FOREIGN = Репозиторий принадлежит другому проекту.
reason-SECRET_MISSING = Не хватает секрета.
reason-NO_SERVER = Нет сервера, на котором можно развернуть сервис.
reason-NO_PORT = На сервере нет свободного порта.
reason-PLAYBOOK_FAILED = Установка на сервер не удалась. Прежняя версия, если она была, продолжает работать.
reason-MIGRATION_FAILED = Не удалось изменить сохранённые данные, поэтому новая версия не запущена. Прежняя версия, если она была, продолжает работать.
reason-IMAGE_MISMATCH = На сервере больше нет образа этой версии. Разверните её заново как новую версию.
reason-RELEASE_NOT_KEPT = К этой версии уже нельзя вернуться: её образ больше не хранится. Разверните её коммит как новую версию.
reason-PROBE_FAILED = Сервис не отвечает по своему адресу или отвечает неправильно. Прежняя версия, если она была, продолжает работать.
reason-ROLLBACK_FAILED = Новая версия не заработала, и вернуться к предыдущей тоже не удалось. Что работает сейчас, написано в подробностях.
reason-SERVER_UNREACHABLE = Сервер долго не отвечает. Повторите, когда он снова будет доступен.
reason-WORKFLOW_LOST = Работа была прервана извне, её результат неизвестен.
reason-ALREADY_EXISTS = Проект с таким именем уже есть.
reason-INVALID_INPUT = Платформа не может обработать это описание. Попробуйте сформулировать иначе.
reason-NOT_ALLOWED = У вас больше нет доступа.
reason-other = Произошла ошибка. Чтобы увидеть её, нажмите «Подробности».
reason-code = Платформа отклонила запрос. Код ошибки: { $code }.

## Названия состояний и ролей

state-queued = в очереди
state-running = в работе
state-waiting = ждёт ответа
state-completed = готово
state-failed = ошибка
state-cancelled = остановлено
icon-queued = 🕓
icon-running = 🔄
icon-waiting = ❓
icon-completed = ✅
icon-failed = ❌
icon-cancelled = ⏹
project-draft = черновик
project-scaffolding = создаётся
project-scaffolded = создан
project-scaffold_failed = не удалось создать
project-developing = в разработке
project-testing = тестируется
project-deploying = разворачивается
project-active = работает
project-failed = ошибка
project-archived = в архиве
role-admin = администратор
role-member = участник
role-agent = агент

# Слова, которые не попадают в имена проектов: они ничего не говорят о предмете.
naming-ignored = сделай сделать создай создать напиши написать разработай построй пожалуйста мне нам сервис приложение программу api для с со который которая которое простой простую новый новую маленький
naming-nothing = servis
